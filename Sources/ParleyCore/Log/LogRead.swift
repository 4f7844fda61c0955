/// From where a room's log is to be read: what comes after `after`.
public struct LogCursor: Sendable, Hashable {
    public var room: RoomNumber
    public var after: Seq
    public init(room: RoomNumber, after: Seq) {
        self.room = room
        self.after = after
    }
}

/// A page of a room's log.
public struct LogRead: Sendable, Equatable {
    public var room: RoomNumber
    /// Gapless, the first begins at or before `after + 1` unless that is no longer retained.
    public var runs: [Run]
    /// There may be more after the last run than this read brings: read again from there.
    public var more: Bool

    public init(room: RoomNumber, runs: [Run], more: Bool) {
        self.room = room
        self.runs = runs
        self.more = more
    }
}
