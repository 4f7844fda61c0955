public struct Withdrawal: Sendable {
    public var room: RoomNumber
    public var session: SessionKey
    /// Only while the member's socket was last on this node: what the end of a grace must hold to.
    public var onlyIfHere: Bool

    public init(room: RoomNumber, session: SessionKey, onlyIfHere: Bool = false) {
        self.room = room
        self.session = session
        self.onlyIfHere = onlyIfHere
    }
}

public struct Withdrawn: Sendable, Equatable {
    public var change: RosterChange?
    public var rosterSeq: Int64
    public var count: Int

    public init(change: RosterChange?, rosterSeq: Int64, count: Int) {
        self.change = change
        self.rosterSeq = rosterSeq
        self.count = count
    }
}
