import ParleyCore

/// Up to where one room is known, and what of a node's frame is new.
struct RoomCopy: Sendable {
    enum Verdict: Equatable {
        /// Nothing, when all of it was known.
        case news([Change])
        /// It begins later than what is known ends.
        case hole
    }

    private(set) var position: Position

    init(at position: Position) { self.position = position }

    /// Moves on when there is no hole.
    mutating func take(_ state: RoomState) -> Verdict {
        guard state.from <= position.seq + 1 else { return .hole }
        guard state.to > position.seq else { return .news([]) }
        let known = Int(position.seq + 1 - state.from)
        position = state.position
        return .news(known == 0 ? state.changes : Array(state.changes.dropFirst(known)))
    }
}
