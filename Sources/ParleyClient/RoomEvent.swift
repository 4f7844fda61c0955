/// What a member learns of a room, in order.
public enum RoomEvent: Sendable, Equatable {
    /// The beginning: what the room held when it was joined.
    case joined(RoomState)
    /// Each change once, without a gap, also across sockets and nodes.
    case changes([Change])
    /// What was reported before is not continued: this replaces it.
    case reset(RoomState)
    case membersJoined([String], count: Int)
    case membersLeft([String], count: Int)
    /// Nothing comes any more.
    case ended(RoomEnd)
}

public enum RoomEnd: Sendable, Equatable {
    case left
    case removed
    /// The room itself is gone.
    case closed
    /// The node does not let the client in again.
    case refused(code: String, reason: String)
    case clientClosed
}
