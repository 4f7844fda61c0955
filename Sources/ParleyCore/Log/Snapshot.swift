/// What a joiner, or a home that is opened, wants to know of a room's log.
public struct SnapshotRequest: Sendable {
    /// Which part of the log.
    public enum Want: Sendable, Equatable {
        /// The newest so many changes.
        case recent(Int)
        /// Everything after this place; if the log does not have it: the newest `Limits.recentDefault`.
        case after(ResumePoint)
    }
    public var room: RoomNumber
    public var want: Want
    /// Bytes of changes at most: the newest for `recent`, the oldest for `after`.
    public var bytesMax: Int

    public init(room: RoomNumber, want: Want, bytesMax: Int) {
        self.room = room
        self.want = want
        self.bytesMax = bytesMax
    }
}

/// A part of a room's log, with the room's newest place at the same moment.
public struct Snapshot: Sendable, Equatable {
    /// How the changes relate to what the client named.
    public enum Continuity: Sendable, Equatable {
        /// The changes follow what the client named (or it named nothing).
        case continues
        /// They do not: that place is no longer retained.
        case reset
        /// They do not: that place was never in this log, but in one that a failover cut short, or in another room's.
        case diverged
    }
    /// The room's newest place.
    public var head: Position
    /// Trimmed to exactly what was wanted; for `recent` they end at `head`, for `after` they may end before it.
    public var runs: [Run]
    public var continuity: Continuity
    /// The shared values at `head`; nil when the runs continue what the client has.
    public var values: RoomValues?
    /// Where the client stands once it has the runs: the end of the last one, or the place before all of them.
    public var end: Position

    public init(head: Position, runs: [Run], continuity: Continuity, end: Position, values: RoomValues? = nil) {
        self.values = values
        self.head = head
        self.runs = runs
        self.continuity = continuity
        self.end = end
    }
}
