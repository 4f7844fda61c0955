import NIOCore
import ParleyCore

/// What a node says, as far as a client acts on it.
enum NodeFrame: Sendable, Equatable {
    struct Connect: Sendable, Equatable {
        var clientID: String
        var session: String
        var isResumed: Bool
        var node: String
        var heartbeatMs: Int64
        var graceMs: Int64
        var inFlightMax: Int
        /// A larger message ends the connection for good; nil when the node does not say.
        var frameBytesMax: Int?
    }

    struct JoinReply: Sendable, Equatable {
        var roster: RosterNews
        var lastID: Int64
        var refused: [Int64]
        var state: RoomState
    }

    struct Failure: Sendable, Equatable {
        var code: String
        var reason: String
        var isTemporary: Bool
        var retryMs: Int64?
    }

    case connect(Connect)
    case create(id: Int64, room: RoomID, isNew: Bool)
    case joinReply(id: Int64, room: RoomID, JoinReply)
    /// A fresh copy, unasked.
    case copy(room: RoomID, RoomState, RosterNews)
    case members(room: RoomID, RosterNews)
    case update(room: RoomID, RoomState)
    case ack(id: Int64, room: RoomID)
    /// An `id` is there when one has asked for it.
    case leave(id: Int64?, room: RoomID, reason: String, lastID: Int64)
    case failure(id: Int64?, room: RoomID?, Failure)
    /// An answer to `ping`, or of a kind that this client does not ask for.
    case other(method: String)
}

/// A frame that no node may send.
package struct Unreadable: Error, Equatable, CustomStringConvertible {
    package var description: String
}
