public import NIOCore
public import ParleyCore

/// What a `ClientMachine` wants done, in order.
public enum ClientAction: Sendable, Equatable {
    /// Open a socket under this number. Of an older one nothing counts any more.
    case open(socket: Int, NodeAddress, session: String?)
    case send(ByteBuffer)
    /// End the newest socket without a word, as a lost network does.
    case drop
    /// End the newest socket with 1000: the client leaves its rooms.
    case finish
    /// Ring after that time. A second one of the same name replaces the first.
    case alarm(ClientAlarm, Wait)
    case silence(ClientAlarm)
    case state(ClientState)
    case event(RoomID, RoomEvent)
    /// The answer to a request, under the number that the caller gave it.
    case settle(request: Int, Result<ClientAnswer, ClientError>)
    /// A node did what the protocol forbids; for a log.
    case violation(String)
}

public enum ClientAlarm: Sendable, Hashable {
    case link
    case room(RoomID)
    case create(Int64)
}

public enum ClientAnswer: Sendable, Equatable {
    case created(isNew: Bool)
    case joined
    case left
    /// It is durable, at this place; nil when that lies in a part of the log that a reset has skipped.
    case durable(Seq?)
}

/// How long to wait: a random time within these bounds, milliseconds.
public struct Wait: Sendable, Equatable {
    public var least: Int64
    public var most: Int64

    public init(_ least: Int64, _ most: Int64) {
        self.least = least
        self.most = most
    }

    public static func exactly(_ ms: Int64) -> Wait { Wait(ms, ms) }
}
