public import NIOCore

/// What becomes of one socket, told on its event loop and nowhere else; an implementation needs no locks.
///
/// Buffers may be kept: their memory holds nothing but the message.
public protocol WebSocketDelegate: AnyObject {
    /// Comes first. The socket is bound to this event loop; it may be kept until `closed`, and used after it
    /// without effect.
    func opened(_ socket: WebSocket)
    /// A complete message, valid UTF-8.
    func received(text: ByteBuffer)
    func received(binary: ByteBuffer)
    /// The bytes waiting to be sent rose above the channel's high mark or fell below its low one. May come
    /// from within `send` and the end of `batch`.
    func writabilityChanged(isWritable: Bool)
    /// Comes last and exactly once, never from within a call to the socket. What was sent before need not
    /// have arrived.
    func closed(_ end: WebSocketEnd)
}
