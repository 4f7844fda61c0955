package import Logging
import NIOConcurrencyHelpers
package import NIOCore
package import ParleyCore
package import ParleyHub
import ParleyWire

/// All sockets of this node.
package final class Gateway: Sendable {
    package let settings: GatewaySettings
    package let hub: Hub
    let directory = SessionDirectory()
    private let takeUpWatch: TakeUpWatch
    private let graceWatch: GraceWatch
    private let logger: Logger
    let keys: SigningKeys
    private let sockets: [(loop: any EventLoop, box: NIOLoopBoundBox<[SessionDirectory.SocketID: ClientSocket]>)]
    private let state = NIOLockedValueBox(State())

    private struct State {
        var socketCount = 0
        var isDraining = false
    }

    package init(settings: GatewaySettings, hub: Hub, keys: [SigningKey], group: any EventLoopGroup, logger: Logger) {
        self.settings = settings
        self.hub = hub
        self.keys = SigningKeys(
            keys, store: hub.store, session: .nanoseconds(settings.session.nanoseconds), logger: logger)
        self.logger = logger
        takeUpWatch = TakeUpWatch(
            directory: directory, store: hub.store, every: settings.takeUpWatch, logger: logger)
        graceWatch = GraceWatch(directory: directory, hub: hub, logger: logger)
        sockets = group.makeIterator().map { loop in
            (loop, .makeBoxSendingValue([:], eventLoop: loop))
        }
    }

    package var socketCount: Int { state.withLockedValue(\.socketCount) }
    package var isDraining: Bool { state.withLockedValue(\.isDraining) }

    /// Runs until the task is cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.takeUpWatch.run { self.overtaken(by: $0) } }
            group.addTask { await self.graceWatch.run() }
            group.addTask { await self.keys.run() }
        }
    }

    /// What the feed says of the sessions of all nodes.
    package func received(_ event: FeedEvent) {
        switch event {
        case .pointers, .ended, .signals: break
        case .takenUp(let takeUps): overtaken(by: takeUps)
        case .resync: takeUpWatch.lookSoon()
        }
    }

    private func overtaken(by takeUps: [SessionTakeUp]) {
        let overtaken = directory.overtaken(by: takeUps)
        guard !overtaken.isEmpty else { return }
        Task { [hub, directory] in
            var places: SessionDirectory.Places = []
            for socket in overtaken { places += await socket.displace() }
            await hub.evict(places)
            for socket in overtaken { directory.gone(socket.client, on: socket.socket) }
        }
    }

    /// The database goes on with another timeline: all rooms are compared with it.
    package func timelineChanged() {
        Task {
            await onEverySocket { $0.suspendRooms() }
            hub.beginAnew()
            await onEverySocket { $0.rejoinRooms() }
        }
    }

    private func onEverySocket(_ body: @escaping @Sendable (ClientSocket) -> Void) async {
        for (loop, box) in sockets {
            await withCheckedContinuation { continuation in
                loop.execute {
                    for socket in box.value.values { body(socket) }
                    continuation.resume()
                }
            }
        }
    }

    /// Takes no more sockets, and tells the clients of those that are open to go on elsewhere, one after the other and
    /// in no order, each once what it has sent is settled.
    package func drain() {
        let count = state.withLockedValue { state in
            state.isDraining = true
            return state.socketCount
        }
        let spread = min(settings.drainSpread, settings.drainStep * count)
        for (loop, box) in sockets {
            loop.execute { [settings] in
                for socket in box.value.values {
                    let delay = TimeAmount.nanoseconds(.random(in: 0...spread.nanoseconds))
                    loop.assumeIsolated().scheduleTask(in: delay) { [weak socket] in
                        socket?.drain(until: .now() + settings.drainPatience)
                    }
                }
            }
        }
    }

    /// Tells all clients to go on elsewhere, or here anew: what this node knew of their rooms does not count any more.
    package func endSockets() {
        for (loop, box) in sockets {
            loop.execute { for socket in box.value.values { socket.endForRestart() } }
        }
    }

    // MARK: - For the sockets

    enum Addition { case taken, full, draining }

    func add(_ socket: ClientSocket, on loop: any EventLoop) -> Addition {
        let addition = state.withLockedValue { state -> Addition in
            guard !state.isDraining else { return .draining }
            guard state.socketCount < settings.socketsMax else { return .full }
            state.socketCount += 1
            return .taken
        }
        if addition == .taken { box(of: loop)?.value[socket.id] = socket }
        return addition
    }

    func remove(_ socket: ClientSocket, on loop: any EventLoop) {
        guard box(of: loop)?.value.removeValue(forKey: socket.id) != nil else { return }
        state.withLockedValue { $0.socketCount -= 1 }
    }

    /// A token that is older than a session lasts says nothing about when its last socket ended: the store is asked.
    func endedWithin(_ token: SessionToken) -> Duration? {
        let age = TimeAmount.milliseconds(max(0, UnixTime.milliseconds() - token.issuedAt))
        return age < settings.session ? nil : .nanoseconds(settings.session.nanoseconds)
    }

    func connectFrame(_ identity: SessionIdentity, socket: Int64, memberships: [Membership], isResumed: Bool)
        -> ByteBuffer
    {
        ServerFrame.connect(
            clientID: identity.clientID,
            session: keys.token(for: identity, socket: socket),
            isResumed: isResumed, node: settings.nodeName, heartbeatMs: settings.heartbeat.milliseconds,
            graceMs: settings.grace.milliseconds, sessionMs: settings.session.milliseconds,
            rooms: memberships.map { ($0.id, $0.marks, $0.lastSeq) }, limits: settings.limits)
    }

    /// A socket is gone, and something that it had under way has ended since.
    func endedLate(_ session: SessionIdentity, number: Int64?) {
        let now = NIODeadline.now()
        directory.endedLate(session, number: number, at: now, dueAt: now + settings.grace)
    }

    private func box(of loop: any EventLoop) -> NIOLoopBoundBox<[SessionDirectory.SocketID: ClientSocket]>? {
        sockets.first { $0.loop === loop }?.box
    }
}

extension TimeAmount {
    var milliseconds: Int64 { nanoseconds / 1_000_000 }
}
