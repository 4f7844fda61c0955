/// The bounds that every node tells its clients in `connect`. Bytes are bytes of JSON text.
public struct Limits: Sendable, Equatable {
    /// One WebSocket message from a client; more closes the socket with 1009.
    public var frameBytes = 65_536
    public var messageBytes = 32_768
    /// No frame to a client is larger.
    public var serverFrameBytes = 1_048_576
    public var profileBytes = 4_096
    public var metaBytes = 8_192
    public var signalBytes = 4_096
    /// All shared values of one room together.
    public var valuesBytes = 65_536
    /// Up to how many members a roster is sent whole.
    public var roster = 100
    /// Rooms that one session can be a member of.
    public var rooms = 100
    /// Unanswered ids of one room on one socket.
    public var inFlight = 256
    /// Changes that a join or a page of history holds at most.
    public var recent = 1_000

    public init() {}

    /// What `join` sends when it does not say how much it wants, or wants what the log does not have.
    public static let recentDefault = 50
    /// The highest `id` of a request: what a double holds exactly.
    public static let requestIDMax: Int64 = (1 << 53) - 1
    /// Nesting of a payload, counted from the payload itself.
    public static let depthMax = 100
    /// Characters of a number inside a payload.
    public static let numberLengthMax = 64
    /// Of one shared value, without its quotes: an index holds it.
    public static let valueKeyBytesMax = 1_024
    /// A hundred years: more is kept no longer, and the calendar of the database ends somewhere.
    public static let retainSecondsMax: Int64 = 3_155_760_000
    /// Refused ids that are remembered for each member.
    public static let refusedMax = 256
    /// One room's part of one batch. A chunk is never split when it is sent, so it must fit a frame with room to spare.
    public static let chunkBytesMax = 262_144
}
