/// Which changes of a room's log are wanted: the oldest behind `after` or, without it, the newest before `before`.
public struct HistoryRequest: Sendable {
    public var room: RoomNumber
    /// Both exclusive.
    public var after: Seq?
    public var before: Seq?
    /// Changes at most.
    public var limit: Int
    /// Bytes of changes at most; one change comes even when it alone has more.
    public var bytesMax: Int

    public init(room: RoomNumber, after: Seq?, before: Seq?, limit: Int, bytesMax: Int) {
        self.room = room
        self.after = after
        self.before = before
        self.limit = limit
        self.bytesMax = bytesMax
    }
}

/// The changes from place `from` to place `to`, as one piece of the log.
public struct HistoryPage: Sendable, Equatable {
    public var from: Seq
    /// `from - 1` when the page is empty.
    public var to: Seq
    /// The oldest place still kept.
    public var first: Seq
    /// The changes, joined by commas.
    public var body: [UInt8]
    /// There is more in the direction that was read, within the bounds.
    public var more: Bool

    public init(from: Seq, to: Seq, first: Seq, body: [UInt8], more: Bool) {
        self.from = from
        self.to = to
        self.first = first
        self.body = body
        self.more = more
    }
}
