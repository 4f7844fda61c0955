public import NIOCore
public import ParleyCore

/// One entry of a room's log. Everybody in the room sees the same bytes.
public struct Change: Sendable, Equatable {
    /// Its place in the room: 1, 2, 3 … without gaps.
    public var seq: Seq
    /// Who sent it; nil when it came by HTTP or SQL.
    public var clientID: String?
    /// The sender's number for it, if the sender gave it one.
    public var id: Int64?
    /// The sender's user, when it had a credential.
    public var userID: String?
    /// When the node took it, milliseconds since the Unix epoch; for people, for only `seq` orders.
    public var at: Int64?
    /// The JSON text as it was sent. Neither this nor `set`: a change that was erased, or of a newer kind, to be skipped.
    public var message: ByteBuffer?
    /// The keys and values that it set, as JSON text.
    public var set: ByteBuffer?
    /// The whole change as JSON text.
    public var text: ByteBuffer
}

/// A stretch of a room's log, and what it continues.
public struct RoomState: Sendable, Equatable {
    public var from: Seq
    public var to: Seq
    public var position: Position
    public var changes: [Change]
    /// The values of the room as of `to`, as JSON text; nil when the state continues what the client had.
    public var values: ByteBuffer?
    public var versions: ByteBuffer?
    /// It does not continue what the client had.
    public var isReset: Bool
    /// What the client had is no part of the room's log any more.
    public var isDiverged: Bool
}
