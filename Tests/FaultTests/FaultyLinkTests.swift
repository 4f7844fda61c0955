import NIOCore
import NIOPosix
import TestFaults
import Testing

@Suite("A faulty link")
struct FaultyLinkTests {
    @Test("whatever its delay becomes, bytes keep their order; what was stalled comes afterwards")
    func order() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let (bytes, feed) = AsyncStream.makeStream(of: UInt8.self)
        let server = try await ServerBootstrap(group: loop).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(Collector(feed: feed))
            }
        }.bind(host: "127.0.0.1", port: 0).get()
        let link = try await FaultyLink.open(to: server.localAddress?.port ?? 0, loop: loop)
        let client = try await ClientBootstrap(group: loop).connect(host: "127.0.0.1", port: link.port).get()
        let modes: [FaultyLink.Mode] = [
            .passing, .delaying(ms: 12), .delaying(ms: 3), .passing, .stalled, .losingAnswers,
        ]
        for number in 0..<UInt8(240) {
            if number % 10 == 0 { await link.set(modes[Int(number / 10) % modes.count]) }
            try await client.writeAndFlush(ByteBuffer(bytes: [number]))
        }
        await link.set(.passing)
        var next: UInt8 = 0
        for await byte in bytes {
            #expect(byte == next)
            next += 1
            if next == 240 { break }
        }
        await link.cut(byReset: true)
        try await client.closeFuture.get()
        await link.close()
        try await server.close()
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let feed: AsyncStream<UInt8>.Continuation

        init(feed: AsyncStream<UInt8>.Continuation) { self.feed = feed }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            for byte in unwrapInboundIn(data).readableBytesView { feed.yield(byte) }
        }
    }
}
