/// A room to be made. What is kept of its log is the store's to see to; without a bound it is all.
public struct RoomCreation: Sendable {
    public var id: RoomID
    /// An existing room is the answer instead of an error.
    public var ifMissing: Bool
    /// A JSON object.
    public var meta: [UInt8]?
    /// What is not among the newest so many changes may go; at least 1.
    public var retainMessages: Int64?
    /// What is older than so many seconds may go; 1 to `Limits.retainSecondsMax`.
    public var retainSeconds: Int64?
    /// The name of the rule that judges what clients say in it; nil for none.
    public var rule: String?

    public init(
        id: RoomID, ifMissing: Bool = false, meta: [UInt8]? = nil,
        retainMessages: Int64? = nil, retainSeconds: Int64? = nil, rule: String? = nil
    ) {
        self.id = id
        self.ifMissing = ifMissing
        self.meta = meta
        self.retainMessages = retainMessages
        self.retainSeconds = retainSeconds
        self.rule = rule
    }
}

/// The answer to a creation that did not fail.
public struct RoomCreated: Sendable, Equatable {
    /// False when the room was there before, and that was no error.
    public var created: Bool
    public init(created: Bool) { self.created = created }
}
