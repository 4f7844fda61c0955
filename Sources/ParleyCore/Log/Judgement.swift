/// An input that the store judges under the room's lock, by the shared values as they are at that moment and by the room's
/// rule, or one that stands between such inputs of its room.
public struct JudgedInput: Sendable, Equatable {
    /// The change as it will stand in the log if it is accepted: one JSON object.
    public var change: [UInt8]
    /// nil for an input that is accepted in any case, unless the room has a rule.
    public var set: ValueSet?

    public init(change: [UInt8], set: ValueSet?) {
        self.change = change
        self.set = set
    }
}

/// What an input does to the shared values of its room.
public struct ValueSet: Sendable, Equatable {
    /// The key of a value. The wire, and the functions in SQL, keep it to `Limits.valueKeyBytesMax`.
    public struct Key: Sendable, Hashable {
        /// With its quotes, as it was sent.
        public var json: [UInt8]
        /// What that says: the same key may be spelled in several ways.
        public var text: String

        public init(json: [UInt8], text: String) {
            self.json = json
            self.text = text
        }
    }

    /// The new value of each key as JSON; `null` removes it. No key stands twice.
    public var values: [(key: Key, value: [UInt8])]
    /// The place of the change that must have written each key last, 0 for none; nil for no condition.
    public var condition: [(key: Key, seq: Seq)]?

    public init(values: [(key: Key, value: [UInt8])], condition: [(key: Key, seq: Seq)]?) {
        self.values = values
        self.condition = condition
    }

    public var valuesObject: [UInt8] { Self.object(values.map { ($0.key, $0.value) }) }
    public var conditionObject: [UInt8]? { condition.map { Self.object($0.map { ($0.key, Array("\($0.seq)".utf8)) }) } }

    /// A JSON object of these members.
    public static func object(_ members: [(key: Key, value: [UInt8])]) -> [UInt8] {
        let texts = members.map { $0.key.json + [UInt8(ascii: ":")] + $0.value }
        return Array("{".utf8) + texts.joined(separator: [UInt8(ascii: ",")]) + Array("}".utf8)
    }

    public static func == (a: Self, b: Self) -> Bool {
        a.valuesObject == b.valuesObject && a.conditionObject == b.conditionObject
    }
}

/// What the store decided of one input that was to be judged. Of one that was not accepted nothing is written.
public enum Verdict: Sendable, Equatable {
    case accepted
    /// The condition did not hold: these are the values and versions of the keys that it names.
    case conflict(RoomValues)
    /// All values together would be larger than they may.
    case tooLarge
    /// The room's rule made this change of it.
    case rewritten([UInt8])
    /// The room's rule refused it, for this reason.
    case refused(reason: String)

    /// The change as it stands in the log, of an input that came as `change`; nil when it was refused.
    public func written(_ change: [UInt8]) -> [UInt8]? {
        switch self {
        case .accepted: change
        case .rewritten(let change): change
        case .conflict, .tooLarge, .refused: nil
        }
    }

    public var isAccepted: Bool { written([]) != nil }
}

/// Shared values of a room, each as one JSON object.
public struct RoomValues: Sendable, Hashable {
    /// Key to value, byte by byte as it was sent.
    public var values: [UInt8]
    /// Key to the place of the change that wrote it last.
    public var versions: [UInt8]

    public init(values: [UInt8], versions: [UInt8]) {
        self.values = values
        self.versions = versions
    }

    public static let none = RoomValues(values: Array("{}".utf8), versions: Array("{}".utf8))
}
