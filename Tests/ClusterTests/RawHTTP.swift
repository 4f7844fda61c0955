import NIOCore
import NIOPosix

/// A TCP connection that says what it is told and nothing else, for requests that no client library would send.
struct RawHTTP {
    struct Answer {
        var text: String
        /// The server ended the connection, or its direction of it.
        var hasEnded: Bool
    }

    /// How long the server may take.
    private static let patience = TimeAmount.seconds(5)

    /// - Parameter enough: Ends the wait before the server ends the connection.
    static func ask(
        _ node: TestNode, _ request: String, until enough: @escaping @Sendable (String) -> Bool = { _ in false }
    ) async throws -> Answer {
        let done = MultiThreadedEventLoopGroup.singleton.any().makePromise(of: Answer.self)
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(enough: enough, done: done))
                }
            }
            .connect(host: "127.0.0.1", port: Int(node.port)).get()
        try await channel.writeAndFlush(ByteBuffer(string: request)).get()
        channel.eventLoop.scheduleTask(in: patience) {
            channel.pipeline.fireUserInboundEventTriggered(Impatience())
        }
        let answer = try await done.futureResult.get()
        if channel.isActive { try await channel.close().get() }
        return answer
    }

    private struct Impatience {}

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let done: EventLoopPromise<Answer>
        private let enough: @Sendable (String) -> Bool
        private var bytes = ByteBuffer()

        init(enough: @escaping @Sendable (String) -> Bool, done: EventLoopPromise<Answer>) {
            self.enough = enough
            self.done = done
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var part = unwrapInboundIn(data)
            bytes.writeBuffer(&part)
            if enough(String(buffer: bytes)) { finish(hasEnded: false) }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if event is Impatience { finish(hasEnded: false) }
        }

        func channelInactive(context: ChannelHandlerContext) { finish(hasEnded: true) }

        private func finish(hasEnded: Bool) {
            done.succeed(Answer(text: String(buffer: bytes), hasEnded: hasEnded))
        }
    }
}
