/// How a node learns that other nodes have written. A hint, never the content: what it says may come late, twice, out
/// of order or not at all, and costs only latency then.
public protocol ChangeFeed: Sendable {
    /// Runs until the task is cancelled, reconnecting by itself. `sink` is called from any thread and must not block.
    func run(_ sink: @escaping @Sendable (FeedEvent) -> Void) async
}

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

/// Where a room stood when the hint was sent; 0 for what it does not speak of.
public struct RoomPointer: Sendable, Hashable {
    public var room: RoomNumber
    public var lastSeq: Seq
    public var rosterSeq: Int64

    public init(room: RoomNumber, lastSeq: Seq = 0, rosterSeq: Int64 = 0) {
        self.room = room
        self.lastSeq = lastSeq
        self.rosterSeq = rosterSeq
    }
}

/// A membership that no socket has left: SQL has removed the member, or closed the room.
public struct EndedMembership: Sendable, Hashable {
    public var room: RoomNumber
    /// The room's from then on: who has it, or a higher one, has joined since.
    public var claim: Int64
    /// nil for everybody: the room was closed.
    public var clientID: ClientID?

    public init(room: RoomNumber, claim: Int64, clientID: ClientID? = nil) {
        self.room = room
        self.claim = claim
        self.clientID = clientID
    }
}
