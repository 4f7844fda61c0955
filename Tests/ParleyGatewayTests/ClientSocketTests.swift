import Glibc
import HTTPTypes
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import ParleyCore
import ParleyHub
import ParleyMemory
import Testing

@testable import ParleyGateway
@testable import ParleyWebSocket

@Suite("The socket of a client")
struct ClientSocketTests {
    @Test("one that closes while its token is looked at anew is gone, and takes no session")
    func closedBeforeItsSession() async throws {
        let logger = Logger(label: "gateway") { _ in SwiftLogNoOpLogHandler() }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let store = MemoryRoomStore()
        let hub = try await Hub.make(settings: HubSettings(), store: store, group: group, logger: logger)
        let gateway = Gateway(
            settings: GatewaySettings(nodeName: "n1"), hub: hub, keys: try await store.signingKeys(), group: group,
            logger: logger)
        var ends: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let credentials = Self.credentials(session: "nobody-signed-this")
        let reference = NIOLockedValueBox<NIOLoopBound<WeakReference>?>(nil)
        let channel = try await ClientBootstrap(group: group).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                let socket = ClientSocket(gateway: gateway, credentials: credentials)
                reference.withLockedValue { $0 = NIOLoopBound(WeakReference(socket), eventLoop: channel.eventLoop) }
                try channel.pipeline.syncOperations.addHandler(
                    WebSocketHandler(configuration: WebSocketConfiguration(), delegate: socket))
            }
        }.withConnectedSocket(ends[0]).get()
        let socket = try #require(reference.withLockedValue { $0 })
        #expect(gateway.socketCount == 1)
        close(ends[1])
        try await channel.closeFuture.get()
        #expect(gateway.socketCount == 0)
        // Answers the socket's question together with this one.
        #expect(await gateway.keys.readAgain())
        let end = ContinuousClock.now + .seconds(10)
        var isThere = true
        while isThere, ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(10))
            isThere = try await group.next().submit { socket.value.object != nil }.get()
        }
        #expect(!isThere, "nobody holds it")
        try await group.shutdownGracefully()
    }

    private final class WeakReference {
        weak var object: ClientSocket?
        init(_ object: ClientSocket) { self.object = object }
    }

    private static func credentials(session: String) -> SocketCredentials {
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/ws?session=\(session)")
        head.headers.add(name: "Host", value: "localhost")
        return SocketCredentials(head)
    }
}
