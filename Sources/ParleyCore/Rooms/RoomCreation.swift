public struct RoomCreation: Sendable {
    public var id: RoomID
    /// An existing room is the answer instead of an error.
    public var ifMissing: Bool
    /// A JSON object.
    public var meta: [UInt8]?
    public var retainMessages: Int64?
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

public struct RoomCreated: Sendable, Equatable {
    public var created: Bool
    public init(created: Bool) { self.created = created }
}
