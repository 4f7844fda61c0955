/// A session's leave of a room.
public struct Withdrawal: Sendable {
    public var room: RoomNumber
    public var session: SessionKey
    /// The number of the socket whose membership is to end: nothing is done when a newer one has the session. nil for
    /// no condition.
    public var socket: Int64?
    /// Ids that were refused, ascending, of which the log may not tell: the member is remembered with them.
    public var refused: [Int64]

    public init(room: RoomNumber, session: SessionKey, socket: Int64? = nil, refused: [Int64] = []) {
        self.room = room
        self.session = session
        self.socket = socket
        self.refused = refused
    }
}

/// The room's roster after a leave.
public struct Withdrawn: Sendable, Equatable {
    /// nil when the session was no member any more.
    public var change: RosterChange?
    /// The room's roster number and count of members after this.
    public var rosterSeq: Int64
    public var count: Int

    public init(change: RosterChange?, rosterSeq: Int64, count: Int) {
        self.change = change
        self.rosterSeq = rosterSeq
        self.count = count
    }
}
