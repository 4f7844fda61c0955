/// What a member learns of a room, in order.
public enum RoomEvent: Sendable, Equatable {
    /// The beginning: what the room held when it was joined.
    case joined(RoomState)
    /// Each change once, without a gap, also across sockets and nodes.
    case changes([Change])
    /// What was reported before is not continued: this replaces it.
    case reset(RoomState)
    case members(RosterNews)
    /// Nothing comes any more.
    case ended(RoomEnd)
}

/// Who came and went, by client id.
public struct RosterNews: Sendable, Equatable {
    /// May repeat what one knows, oneself included.
    public var joined: [String] = []
    public var left: [String] = []
    /// How many members there are now.
    public var count: Int
    /// All of them; nil while the room has more than a roster shows.
    public var all: [String]?

    /// The roster as one knows it becomes this.
    public func apply(to roster: inout Set<String>) {
        if let all {
            roster = Set(all)
        } else {
            roster.formUnion(joined)
            roster.subtract(left)
        }
    }
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
