import DequeModule
public import NIOCore
import NIOPosix

/// Stands between two programs on one port, and passes on what it is told to.
///
/// All of it lives on one event loop.
public final class FaultyLink: Sendable {
    public enum Mode: Sendable, Equatable {
        case passing
        /// Every byte this much later, in order.
        case delaying(ms: Int64)
        /// Nothing is read from either side: it waits in the kernel, and its sender notices in time.
        case stalled
        /// What the server says is thrown away.
        case losingAnswers
    }

    public let port: Int
    private let loop: any EventLoop
    private let listener: any Channel
    private let traffic: NIOLoopBoundBox<LinkTraffic>

    private init(port: Int, loop: any EventLoop, listener: any Channel, traffic: NIOLoopBoundBox<LinkTraffic>) {
        self.port = port
        self.loop = loop
        self.listener = listener
        self.traffic = traffic
    }

    /// On a free port of the loopback interface.
    public static func open(to target: Int, loop: any EventLoop) async throws -> FaultyLink {
        let traffic = NIOLoopBoundBox.makeBoxSendingValue(LinkTraffic(), eventLoop: loop)
        let listener = try await ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 512)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { client in
                client.eventLoop.makeCompletedFuture { traffic.value.accepted(client, target: target) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return FaultyLink(port: listener.localAddress?.port ?? 0, loop: loop, listener: listener, traffic: traffic)
    }

    public func set(_ mode: Mode) async {
        let traffic = traffic
        await onLoop { traffic.value.set(mode) }
    }

    /// Ends all connections, both halves of each, and passes again.
    ///
    /// - Parameter byReset: with a reset, as a machine that has lost its memory does; else by an orderly end.
    public func cut(byReset: Bool) async {
        let traffic = traffic
        await onLoop { traffic.value.cut(byReset: byReset) }
    }

    public func close() async {
        await cut(byReset: false)
        listener.close(promise: nil)
    }

    private func onLoop(_ body: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { continuation in
            loop.execute {
                body()
                continuation.resume()
            }
        }
    }
}

/// The connections of one link.
private final class LinkTraffic {
    private(set) var mode = FaultyLink.Mode.passing
    private var pairs: [ObjectIdentifier: LinkPair] = [:]

    func accepted(_ client: any Channel, target: Int) {
        let pair = LinkPair(client: client, traffic: self)
        pairs[ObjectIdentifier(pair)] = pair
        pair.connect(to: target)
    }

    func set(_ mode: FaultyLink.Mode) {
        self.mode = mode
        for pair in pairs.values { pair.regulateReading() }
    }

    func cut(byReset: Bool) {
        mode = .passing
        for pair in pairs.values { pair.end(byReset: byReset) }
    }

    func ended(_ pair: LinkPair) { pairs[ObjectIdentifier(pair)] = nil }
}

private final class LinkPair {
    private let client: any Channel
    private var server: (any Channel)?
    private unowned let traffic: LinkTraffic
    private var hasEnded = false
    /// What is to be passed on later, from the client and from the server. It keeps its order even if the delay becomes
    /// shorter.
    private var late: [Deque<(due: NIODeadline, bytes: ByteBuffer)>] = [[], []]

    init(client: any Channel, traffic: LinkTraffic) {
        self.client = client
        self.traffic = traffic
    }

    func connect(to target: Int) {
        let this = NIOLoopBound(self, eventLoop: client.eventLoop)
        ClientBootstrap(group: client.eventLoop)
            .channelOption(.autoRead, value: false)
            .connect(host: "127.0.0.1", port: target).whenComplete { result in
                let pair = this.value
                switch result {
                case .failure: pair.end(byReset: true)
                case .success(let server): pair.connected(server)
                }
            }
    }

    private func connected(_ server: any Channel) {
        guard !hasEnded else { return server.close(promise: nil) }
        self.server = server
        do {
            try client.pipeline.syncOperations.addHandler(LinkHandler(pair: self, isServer: false))
            try server.pipeline.syncOperations.addHandler(LinkHandler(pair: self, isServer: true))
        } catch {
            return end(byReset: true)
        }
        regulateReading()
    }

    func regulateReading() {
        for (channel, other) in [(client, server), (server, client)] {
            guard let channel, let other else { continue }
            let reads = traffic.mode != .stalled && other.isWritable
            channel.setOption(.autoRead, value: reads).assumeIsolated().whenSuccess {
                if reads { channel.read() }
            }
        }
    }

    func received(_ bytes: ByteBuffer, fromServer: Bool) {
        guard !hasEnded, let to = fromServer ? client : server else { return }
        let side = fromServer ? 1 : 0
        var due = late[side].last?.due ?? .now()
        switch traffic.mode {
        case .losingAnswers where fromServer: return
        case .delaying(let ms): due = max(due, .now() + .milliseconds(ms))
        case .passing, .stalled, .losingAnswers: break
        }
        guard due > .now() || !late[side].isEmpty else { return to.writeAndFlush(bytes, promise: nil) }
        late[side].append((due, bytes))
        let this = NIOLoopBound(self, eventLoop: to.eventLoop)
        to.eventLoop.scheduleTask(deadline: due) { this.value.passOnLate(side, to) }
    }

    private func passOnLate(_ side: Int, _ to: any Channel) {
        while let first = late[side].first, first.due <= .now() {
            late[side].removeFirst()
            to.writeAndFlush(first.bytes, promise: nil)
        }
    }

    func end(byReset: Bool) {
        guard !hasEnded else { return }
        hasEnded = true
        for channel in [client, server].compactMap({ $0 }) {
            if byReset, let options = channel as? any SocketOptionProvider {
                _ = options.setSoLinger(linger(l_onoff: 1, l_linger: 0))
            }
            channel.close(promise: nil)
        }
        traffic.ended(self)
    }
}

private final class LinkHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let pair: LinkPair
    private let isServer: Bool

    init(pair: LinkPair, isServer: Bool) {
        self.pair = pair
        self.isServer = isServer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        pair.received(unwrapInboundIn(data), fromServer: isServer)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) { pair.regulateReading() }
    func channelInactive(context: ChannelHandlerContext) { pair.end(byReset: false) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { pair.end(byReset: true) }
}
