public import NIOCore

/// The server side of RFC 6455 in a pipeline whose inbound and outbound data are bytes. The last handler, one
/// per channel; it turns what the channel says into calls to its `WebSocket`.
///
/// Works with and without `allowRemoteHalfClosure`.
public final class WebSocketHandler: ChannelDuplexHandler {
    public typealias InboundIn = ByteBuffer
    public typealias InboundOut = Never
    public typealias OutboundIn = ByteBuffer
    public typealias OutboundOut = ByteBuffer

    private let configuration: WebSocketConfiguration
    /// Until the socket has it.
    private var delegate: (any WebSocketDelegate)?
    private var socket: WebSocket?

    /// `delegate` is held until it was told `closed`.
    public init(configuration: WebSocketConfiguration, delegate: any WebSocketDelegate) {
        self.configuration = configuration
        self.delegate = delegate
    }

    public func handlerAdded(context: ChannelHandlerContext) {
        guard let delegate else { return }
        self.delegate = nil
        let socket = WebSocket(
            configuration: configuration, delegate: delegate, context: context, timerHandler: self)
        self.socket = socket
        socket.open()
    }

    public func handlerRemoved(context: ChannelHandlerContext) {
        socket?.removed()
        socket = nil
    }

    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        socket?.arrived(Self.unwrapInboundIn(data))
    }

    public func channelReadComplete(context: ChannelHandlerContext) {
        socket?.burstEnded()
    }

    public func channelWritabilityChanged(context: ChannelHandlerContext) {
        socket?.writabilityChanged()
        context.fireChannelWritabilityChanged()
    }

    public func channelInactive(context: ChannelHandlerContext) {
        socket?.lost()
        context.fireChannelInactive()
    }

    public func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { socket?.lost() }
        context.fireUserInboundEventTriggered(event)
    }

    /// Any error of the channel is the end of the socket; it has no use for what comes after.
    public func errorCaught(context: ChannelHandlerContext, error: any Error) {
        socket?.lost()
    }

    public func read(context: ChannelHandlerContext) {
        guard let socket, !socket.holdsRead() else { return }
        context.read()
    }
}

extension WebSocketHandler: NIOScheduledCallbackHandler {
    public func handleScheduledCallback(eventLoop: some EventLoop) {
        socket?.timerFired()
    }
}

@available(*, unavailable)
extension WebSocketHandler: Sendable {}
