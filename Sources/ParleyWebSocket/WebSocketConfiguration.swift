public import NIOCore

/// What a server demands of its sockets. One value serves any number of them.
public struct WebSocketConfiguration: Sendable {
    /// The size of a message in bytes, over all its fragments, below 4 GiB; a bigger one ends with 1009 as
    /// soon as a header says so.
    public var messageBytesMax: Int
    /// False: a binary message ends with 1003.
    public var acceptsBinary: Bool
    /// A socket from which nothing came for so long is pinged …
    public var pingAfter: TimeAmount
    /// … and ended, if nothing comes for so much longer.
    public var silenceMax: TimeAmount
    /// The bound of each wait while closing: for the peer's close frame, for the last bytes to leave, for the
    /// peer's end of the TCP connection.
    public var closeTimeout: TimeAmount

    public init(
        messageBytesMax: Int = 64 * 1024,
        acceptsBinary: Bool = true,
        pingAfter: TimeAmount = .seconds(25),
        silenceMax: TimeAmount = .seconds(10),
        closeTimeout: TimeAmount = .seconds(3)
    ) {
        self.messageBytesMax = messageBytesMax
        self.acceptsBinary = acceptsBinary
        self.pingAfter = pingAfter
        self.silenceMax = silenceMax
        self.closeTimeout = closeTimeout
    }
}
