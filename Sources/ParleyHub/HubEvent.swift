package import ParleyCore

/// What happens in the hub that an operator may want to know of.
package enum HubEvent: Sendable {
    /// A batch of this node is durable. `waits`: of each input, from its coming until then.
    case wrote(changes: Int, waits: WaitHistogram)
    /// Rows of the log that other nodes wrote.
    case read(runs: Int)
    /// One room said something, to however many members.
    case updated(RoomNumber)
    case subscriptionFellBehind
    /// A room's log no longer held what this node had not read yet.
    case logHadHole
    case clientReset
    /// A batch was turned away because so many members of one of its rooms are on other nodes by now.
    case membersMoved(Int)
}
