/// Up to which step a node knows a room's roster: 0 for nothing.
public struct RosterCursor: Sendable, Hashable {
    public var room: RoomNumber
    public var seq: Int64
    public init(room: RoomNumber, seq: Int64) {
        self.room = room
        self.seq = seq
    }
}

/// What a room's roster has behind a cursor, in one snapshot.
public struct RosterRead: Sendable, Equatable {
    public var room: RoomNumber
    /// The room's roster number and count of members in the snapshot of this read.
    public var seq: Int64
    public var count: Int
    /// By `seq`; at most one for each member. From a cursor of 0 only those who are there.
    public var changes: [RosterChange]

    public init(room: RoomNumber, seq: Int64, count: Int, changes: [RosterChange]) {
        self.room = room
        self.seq = seq
        self.count = count
        self.changes = changes
    }
}
