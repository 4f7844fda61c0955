/// How a connection ended.
public struct WebSocketEnd: Hashable, Sendable {
    public enum Side: Hashable, Sendable {
        case peer
        case server
    }

    public enum Cause: Hashable, Sendable {
        /// Both sides sent a close frame.
        case closeFrames
        /// The peer broke a rule; it was told so in a close frame, unless one was sent before.
        case violation(WebSocketViolation)
        /// Nothing came from the peer, not even after a ping.
        case silence
        /// The peer did not answer a close frame in time.
        case closeTimeout
        /// TCP ended or failed before the close frames were exchanged.
        case connectionLost
    }

    /// Of the peer's close frame; nil when it held none, or when there was no such frame.
    public var peerCode: WebSocketCloseCode?
    /// Who began to close. A connection that was lost counts as the peer's doing, unless the server was
    /// closing.
    public var startedBy: Side
    public var cause: Cause

    public init(peerCode: WebSocketCloseCode?, startedBy: Side, cause: Cause) {
        self.peerCode = peerCode
        self.startedBy = startedBy
        self.cause = cause
    }

    public var isClean: Bool { cause == .closeFrames }
}
