public struct RoomCreation: Sendable {
    public var id: RoomID
    /// An existing room is the answer instead of an error.
    public var ifMissing: Bool
    /// A JSON object.
    public var meta: [UInt8]?
    public var retainMessages: Int64?
    public var retainSeconds: Int64?

    public init(
        id: RoomID, ifMissing: Bool = false, meta: [UInt8]? = nil,
        retainMessages: Int64? = nil, retainSeconds: Int64? = nil
    ) {
        self.id = id
        self.ifMissing = ifMissing
        self.meta = meta
        self.retainMessages = retainMessages
        self.retainSeconds = retainSeconds
    }
}

public struct RoomCreated: Sendable, Equatable {
    public var created: Bool
    public init(created: Bool) { self.created = created }
}
