/// How a node learns that other nodes have written. A hint, never the content: what it says may come late, twice, out
/// of order or not at all, and costs only latency then.
public protocol ChangeFeed: Sendable {
    /// Runs until the task is cancelled, reconnecting by itself. `sink` is called from any thread and must not block.
    func run(_ sink: @escaping @Sendable (FeedEvent) -> Void) async
}

/// What a feed says of other nodes, and of SQL: where it is worth to look.
public enum FeedEvent: Sendable, Equatable {
    case pointers([RoomPointer])
    /// Other nodes have taken these sessions up.
    case takenUp([SessionTakeUp])
    /// Memberships were ended from outside.
    case ended([EndedMembership])
    /// Members on other nodes show something. The one event that is its own content.
    case signals(RoomSignals)
    /// Hints may have been lost: read every local room from its cursor, and ask about every local session.
    case resync
}
