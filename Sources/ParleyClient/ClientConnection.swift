public import NIOCore
import NIOHTTP1
public import NIOPosix
import NIOWebSocket

/// One WebSocket to a node: text in, text out. Who it is for decides what the texts mean.
public final class ClientConnection: Sendable {
    public struct Refused: Error, CustomStringConvertible {
        public let description: String
    }

    private static let handshakeTimeout: TimeAmount = .seconds(5)
    /// The largest frame that a node sends, with room to spare.
    private static let frameBytesMax = 2 * 1_048_576

    private let channel: any Channel

    private init(channel: any Channel) { self.channel = channel }

    public var eventLoop: any EventLoop { channel.eventLoop }

    /// Fails with `Refused` when the other side does not speak WebSocket, and with an I/O error when it is not there.
    ///
    /// - Parameters:
    ///   - session: the token of a session to be taken up. It travels as a subprotocol, which no access log shows.
    ///   - onText: called on the connection's event loop for every message, in order.
    ///   - onClose: called once, with the close code if there was one.
    public static func open(
        _ address: NodeAddress, session: String? = nil,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        onText: @escaping @Sendable (ByteBuffer) -> Void, onClose: @escaping @Sendable (Int?) -> Void
    ) async throws -> ClientConnection {
        let upgrade: EventLoopFuture<(any Channel)?> = try await ClientBootstrap(group: group)
            .connectTimeout(handshakeTimeout)
            .connect(host: address.host, port: address.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let upgrader = NIOTypedWebSocketClientUpgrader<(any Channel)?>(
                        maxFrameSize: frameBytesMax
                    ) { channel, _ in
                        channel.eventLoop.makeCompletedFuture {
                            try channel.pipeline.syncOperations.addHandler(
                                NIOWebSocketFrameAggregator(
                                    minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: 1_024,
                                    maxAccumulatedFrameSize: frameBytesMax))
                            try channel.pipeline.syncOperations.addHandler(
                                ClientConnectionHandler(onText: onText, onClose: onClose))
                            return channel
                        }
                    }
                    var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: address.path)
                    head.headers.add(name: "host", value: "\(address.host):\(address.port)")
                    let protocols = ["parley.v1"] + (session.map { ["session.\($0)"] } ?? [])
                    head.headers.add(name: "sec-websocket-protocol", value: protocols.joined(separator: ", "))
                    let configuration = NIOTypedHTTPClientUpgradeConfiguration<(any Channel)?>(
                        upgradeRequestHead: head, upgraders: [upgrader],
                        notUpgradingCompletionHandler: { channel in
                            channel.close().map { nil }
                        })
                    var pipeline = NIOUpgradableHTTPClientPipelineConfiguration(upgradeConfiguration: configuration)
                    // A node's first frame may come in one packet with the answer to the handshake.
                    pipeline.leftOverBytesStrategy = .forwardBytes
                    return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(
                        configuration: pipeline)
                }
            }
        guard let channel = try await upgrade.get() else {
            throw Refused(description: "\(address) does not answer as a Parley node")
        }
        return ClientConnection(channel: channel)
    }

    /// From any thread; in order as far as one thread goes. A text sent after the end is lost, as `onClose` has told.
    public func send(_ text: String) {
        send(channel.allocator.buffer(string: text))
    }

    public func send(_ text: ByteBuffer) {
        channel.writeAndFlush(
            WebSocketFrame(fin: true, opcode: .text, maskKey: .drawnAtOnce(), data: text), promise: nil)
    }

    /// The same for several, with one call of the kernel.
    func send(_ texts: [ByteBuffer]) {
        for text in texts {
            channel.write(WebSocketFrame(fin: true, opcode: .text, maskKey: .drawnAtOnce(), data: text), promise: nil)
        }
        channel.flush()
    }

    /// `drop` and `close`, for who does not wait.
    func abandon() { channel.close(promise: nil) }

    func finish() { channel.writeAndFlush(Self.normalClosure(channel.allocator), promise: nil) }

    func ended() async {
        // The future of an end cannot fail.
        _ = try? await channel.closeFuture.get()
    }

    private static func normalClosure(_ allocator: ByteBufferAllocator) -> WebSocketFrame {
        var code = allocator.buffer(capacity: 2)
        code.write(webSocketErrorCode: .normalClosure)
        return WebSocketFrame(fin: true, opcode: .connectionClose, maskKey: .random(), data: code)
    }

    /// From here on what the node sends stays in the network's buffers.
    public func stopReading() async throws { try await channel.setOption(.autoRead, value: false).get() }

    /// Ends the connection without a word, as a lost network does.
    public func drop() async {
        do {
            try await channel.close()
        } catch {
            // It was gone already, which is all that was wanted.
        }
    }

    /// Leaves for good: the node takes it as the end of the session's memberships.
    public func close() async {
        do {
            try await channel.writeAndFlush(Self.normalClosure(channel.allocator))
            try await channel.closeFuture.get()
        } catch {
            // It was gone already, which is all that was wanted.
        }
    }
}

private final class ClientConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private let onText: @Sendable (ByteBuffer) -> Void
    private let onClose: @Sendable (Int?) -> Void
    private var closeCode: Int?

    init(onText: @escaping @Sendable (ByteBuffer) -> Void, onClose: @escaping @Sendable (Int?) -> Void) {
        self.onText = onText
        self.onClose = onClose
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .text: onText(frame.unmaskedData)
        case .ping:
            let pong = WebSocketFrame(fin: true, opcode: .pong, maskKey: .random(), data: frame.unmaskedData)
            context.writeAndFlush(wrapOutboundOut(pong), promise: nil)
        case .connectionClose:
            var data = frame.unmaskedData
            closeCode = data.readInteger(as: UInt16.self).map(Int.init)
            let reply = WebSocketFrame(
                fin: true, opcode: .connectionClose, maskKey: .random(), data: frame.unmaskedData)
            context.writeAndFlush(wrapOutboundOut(reply)).assumeIsolated().whenComplete { _ in
                context.close(promise: nil)
            }
        default: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        onClose(closeCode)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

extension WebSocketMaskingKey {
    /// From the system's source of random numbers, asked once: `random()` asks it for each byte, a call of the kernel each.
    fileprivate static func drawnAtOnce() -> WebSocketMaskingKey {
        let bits = UInt32.random(in: .min ... .max)
        let key = (0..<4).map { UInt8(truncatingIfNeeded: bits >> ($0 * 8)) }
        return WebSocketMaskingKey(key) ?? .random()
    }
}
