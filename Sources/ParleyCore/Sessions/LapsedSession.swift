/// A session that did not come back in time.
public struct LapsedSession: Sendable, Hashable {
    public var session: SessionKey
    /// Of the socket that was lost.
    public var number: Int64
    /// Of which it is a member.
    public var rooms: [RoomNumber]

    public init(session: SessionKey, number: Int64, rooms: [RoomNumber]) {
        self.session = session
        self.number = number
        self.rooms = rooms
    }
}
