import NIOCore
import NIOHTTP1
import NIOPosix
import ParleyWebSocket

enum EchoServer {
    private static let backlog: Int32 = 256

    /// Listens until the channel is closed.
    static func listen(host: String, port: Int, messageBytesMax: Int) async throws -> any Channel {
        let upgrader = WebSocketUpgrader<Void, Void>(
            configuration: WebSocketConfiguration(messageBytesMax: messageBytesMax),
            accept: { _, _, _ in .accept(()) },
            delegate: { _ in Echo() },
            result: { _ in })
        return try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.backlog, value: backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    _ = try channel.pipeline.syncOperations.configureUpgradableHTTPServerPipeline(
                        configuration: NIOUpgradableHTTPServerPipelineConfiguration(
                            upgradeConfiguration: NIOTypedHTTPServerUpgradeConfiguration(
                                upgraders: [upgrader],
                                notUpgradingCompletionHandler: { channel in
                                    channel.eventLoop.makeCompletedFuture {
                                        try channel.pipeline.syncOperations.addHandler(UpgradeOnly())
                                    }
                                })))
                }
            }
            .bind(host: host, port: port).get()
    }
}

/// Stops reading while the peer does not take its echoes.
private final class Echo: WebSocketDelegate {
    private var socket: WebSocket?

    func opened(_ socket: WebSocket) { self.socket = socket }
    func received(text: ByteBuffer) { socket?.send(text: text) }
    func received(binary: ByteBuffer) { socket?.send(binary: binary) }

    func writabilityChanged(isWritable: Bool) {
        if isWritable { socket?.resumeReading() } else { socket?.pauseReading() }
    }

    func closed(_ end: WebSocketEnd) { socket = nil }
}

/// The answer to plain HTTP.
private final class UpgradeOnly: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head = Self.unwrapInboundIn(data) else { return }
        let head = HTTPResponseHead(
            version: .http1_1, status: .upgradeRequired,
            headers: ["upgrade": "websocket", "connection": "close", "content-length": "0"])
        let channel = context.channel
        context.write(Self.wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(Self.wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
    }
}
