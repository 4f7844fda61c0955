import Logging
import NIOConcurrencyHelpers
import NIOCore
import ParleyCore
import ParleyHub
import ParleyWebSocket
import ParleyWire

/// One WebSocket of one client: the shell between the frames of the socket and the session. Lives on its event loop.
final class ClientSocket: WebSocketDelegate, FrameSink {
    fileprivate enum Phase {
        /// The session is being taken up, if the client has shown one; what it sends meanwhile waits.
        case connecting(Resumption?, waiting: [ByteBuffer], bytes: Int)
        case open(Session)
        /// What is to be evicted from the writer before the session goes on elsewhere.
        case ended(had: SessionDirectory.Displace)
    }

    /// Before it is looked again which rooms were not joined: some could not be left, or were about to be joined.
    private static let unjoinedPause = TimeAmount.seconds(1)

    /// Before it is looked again whether all is settled.
    private static let drainPause = TimeAmount.milliseconds(10)

    /// Seconds after which a client is told to try again; random, so that not all come at once.
    private static let pauseWhenFull = 2...10
    /// A client that has not read its new token by then has lost the socket long ago.
    private static let youth = Duration.seconds(30)

    let id: SessionDirectory.SocketID
    private let gateway: Gateway
    private let credentials: SocketCredentials
    private var socket: WebSocket?
    private var phase = Phase.connecting(nil, waiting: [], bytes: 0)
    /// When the client's request was here, also if this process was paused then.
    private var openedAt = ContinuousClock.now
    private var isReadingPaused = false
    private var isDraining = false
    /// False from the moment on at which the socket is about to end; read by those who take its session up for it.
    private let isWanted = NIOLockedValueBox(true)

    init(gateway: Gateway, credentials: SocketCredentials) {
        self.gateway = gateway
        self.credentials = credentials
        id = gateway.directory.makeSocketID()
    }

    // MARK: - WebSocketDelegate

    func opened(_ socket: WebSocket) {
        self.socket = socket
        openedAt = .now - .nanoseconds(socket.newestBytesAge.nanoseconds)
        switch gateway.add(self, on: socket.eventLoop) {
        case .taken: break
        case .full:
            let pause = Int.random(in: Self.pauseWhenFull)
            return socket.close(
                code: .tryAgainLater, reason: "as many connections as this node takes; try again in \(pause) s")
        case .draining: return endForRestart()
        }
        guard let text = credentials.sessionToken else { return begin(.fresh(), as: nil) }
        if case .valid(let token) = gateway.keys.judge(text) { return resume(token) }
        // Another node may have signed it with a key that is new.
        let back = NIOLoopBound(self, eventLoop: socket.eventLoop)
        Task { [gateway, loop = socket.eventLoop] in
            let isRead = await gateway.keys.readAgain()
            loop.execute { back.value.judgeAgain(text, isRead: isRead) }
        }
    }

    private func judgeAgain(_ text: String, isRead: Bool) {
        guard phase.isConnecting else { return }
        switch gateway.keys.judge(text) {
        case .valid(let token): resume(token)
        case .foreign where isRead: begin(.fresh(), as: nil)
        case .foreign: socket?.close(code: .tryAgainLater, reason: "the database cannot be reached")
        }
    }

    func received(text: ByteBuffer) {
        switch phase {
        case .connecting(let resumption, var waiting, var bytes):
            waiting.append(text)
            bytes += text.readableBytes
            phase = .connecting(resumption, waiting: waiting, bytes: bytes)
            let settings = gateway.settings
            if waiting.count >= settings.backlogMax || bytes >= settings.backlogBytesMax { pauseReading() }
        case .open(let session):
            handle(text, session)
        case .ended: break
        }
    }

    func received(binary: ByteBuffer) {
        socket?.close(code: .unacceptableData, reason: "frames are JSON text")
    }

    func writabilityChanged(isWritable: Bool) {
        guard case .open(let session) = phase else { return }
        if isWritable { session.sinkDrained() }
        regulateReading(session)
    }

    func closed(_ end: WebSocketEnd) {
        if let socket { gateway.remove(self, on: socket.eventLoop) }
        let identity = phase.session
        // Also before it is known whose session it is: that is not looked for any more then.
        let had = cease()
        guard let session = identity else { return }
        // Closed by the client on purpose: it does not come back.
        let isOver = end.peerCode == .normal && end.startedBy == .peer
        let now = NIODeadline.now()
        gateway.directory.lost(
            session.clientID, on: id, isYoung: .now - openedAt < Self.youth, had: had, at: now,
            dueAt: isOver ? now : now + gateway.settings.grace)
    }

    // MARK: - FrameSink

    func send(_ frame: ByteBuffer) {
        socket?.send(text: frame)
        if case .open(let session) = phase { regulateReading(session) }
    }

    func send(shared: ByteBuffer) { socket?.send(frame: shared) }

    var isCongested: Bool { socket?.isWritable == false }

    func endForFlood() {
        socket?.close(code: .policyViolation, reason: "too many requests were sent against temporary errors")
    }

    func endForTakeover() {
        guard let session = phase.session else { return }
        let had = displaced()
        gateway.directory.overtaken(session.clientID, on: id)
        Task { [gateway, id] in
            await gateway.hub.evict(await had())
            gateway.directory.gone(session.clientID, on: id)
        }
    }

    func endMembership(of subscription: Subscription, by ended: EndedMembership) {
        if case .open(let session) = phase { session.membershipEnded(subscription, by: ended) }
    }

    /// The node goes down: the client is not read any more, and finds another node once all that it has sent is
    /// settled.
    func drain(until deadline: NIODeadline) {
        isDraining = true
        pauseReading()
        guard case .open(let session) = phase, !session.isSettled, .now() < deadline, let loop = socket?.eventLoop
        else { return endForRestart() }
        loop.assumeIsolated().scheduleTask(in: Self.drainPause) { [weak self] in self?.drain(until: deadline) }
    }

    /// The client finds another node, or comes back to this one.
    func endForRestart() {
        isWanted.withLockedValue { $0 = false }
        socket?.close(code: .serviceRestart, reason: "the node restarts")
    }

    func suspendRooms() { if case .open(let session) = phase { session.suspendRooms() } }

    func rejoinRooms() { if case .open(let session) = phase { session.rejoinRooms() } }

    // MARK: - The session

    private func resume(_ token: SessionToken) {
        guard case .connecting(_, let waiting, let bytes) = phase, let loop = socket?.eventLoop else { return }
        let identity = token.identity
        let older = register(identity, number: nil, loop: loop)
        let (gateway, back) = (gateway, NIOLoopBound(self, eventLoop: loop))
        let resumption = Resumption(
            identity, shown: token.socket, openedAt: openedAt, endedWithin: gateway.endedWithin(token), older: older,
            hub: gateway.hub,
            // Not for a socket that has ended meanwhile: its number would be higher than that of the one it yielded to.
            isWanted: { [isWanted] in isWanted.withLockedValue { $0 } })
        phase = .connecting(resumption, waiting: waiting, bytes: bytes)
        loop.assumeIsolated().scheduleTask(in: gateway.settings.patience) { [weak self] in
            guard let self, self.phase.isConnecting else { return }
            self.isWanted.withLockedValue { $0 = false }
            self.socket?.close(code: .tryAgainLater, reason: "the database takes too long to answer")
        }
        Task {
            let takenUp = await resumption.takenUp
            loop.execute { back.value.resumed(identity, takenUp) }
        }
    }

    private func resumed(_ identity: SessionIdentity, _ result: Result<TakenUp?, StoreError>) {
        switch result {
        case .success(nil):
            gateway.directory.gone(identity.clientID, on: id)
            if phase.isConnecting { begin(.fresh(), as: nil) }
        case .success(let takenUp?) where !phase.isConnecting:
            gateway.endedLate(identity, number: takenUp.number)
        case .failure where !phase.isConnecting:
            // It may have been done all the same.
            gateway.endedLate(identity, number: nil)
        case .success(let takenUp?):
            if gateway.directory.tookUp(identity.clientID, on: id, number: takenUp.number) {
                begin(identity, as: takenUp)
            } else {
                _ = displaced()
            }
        case .failure:
            socket?.close(code: .tryAgainLater, reason: "the session cannot be taken up now; come back later")
        }
    }

    /// - Parameter takenUp: nil for a session that begins with this socket.
    private func begin(_ identity: SessionIdentity, as takenUp: TakenUp?) {
        guard case .connecting(_, let waiting, _) = phase, let socket,
            let shard = gateway.hub.shard(on: socket.eventLoop)
        else { return }
        if takenUp == nil { _ = register(identity, number: 0, loop: socket.eventLoop) }
        let memberships = takenUp?.memberships ?? []
        let session = Session(
            identity: identity, number: takenUp?.number ?? 0, memberships: memberships, hub: gateway.hub, shard: shard,
            settings: gateway.settings, loop: socket.eventLoop, sink: self)
        // Called by the session alone, which the socket owns, and not after the socket has ended it.
        session.backlogShrank = { [unowned self, unowned session] in self.regulateReading(session) }
        session.endedLate = { [gateway, number = session.number] in gateway.endedLate(identity, number: number) }
        phase = .open(session)
        send(
            gateway.connectFrame(identity, socket: session.number, memberships: memberships, isResumed: takenUp != nil))
        if !memberships.isEmpty { leaveWhatIsNotJoined(session, in: gateway.settings.grace, on: socket.eventLoop) }
        for text in waiting { handle(text, session) }
        regulateReading(session)
    }

    private func register(
        _ identity: SessionIdentity, number: Int64?, loop: any EventLoop
    ) -> SessionDirectory.Displace? {
        let bound = NIOLoopBound(self, eventLoop: loop)
        return gateway.directory.open(identity, on: id, number: number) {
            let had = await withCheckedContinuation { continuation in
                loop.execute { continuation.resume(returning: bound.value.displaced()) }
            }
            return await had()
        }
    }

    /// A newer socket has the session. The answer says what this one had.
    private func displaced() -> SessionDirectory.Displace {
        let had = cease()
        socket?.close(code: .sessionContinuesElsewhere, reason: "the session continues on a newer socket")
        return had
    }

    /// Nothing that comes from the client is looked at any more.
    private func cease() -> SessionDirectory.Displace {
        isWanted.withLockedValue { $0 = false }
        let had: SessionDirectory.Displace
        switch phase {
        case .open(let session):
            let places = session.end()
            had = { places }
        case .connecting(let resumption?, _, _): had = { await resumption.inherited }
        case .connecting(nil, _, _): had = { [] }
        case .ended(let former): had = former
        }
        phase = .ended(had: had)
        return had
    }

    /// A room that is not joined within the grace, counted from `connect`, is left.
    private func leaveWhatIsNotJoined(_ session: Session, in time: TimeAmount, on loop: any EventLoop) {
        loop.assumeIsolated().scheduleTask(in: time) { [weak self, weak session] in
            guard let self, let session, case .open = self.phase else { return }
            session.leaveWhatIsNotJoined { [weak self, weak session] isDone in
                guard !isDone, let self, let session, case .open = self.phase else { return }
                self.leaveWhatIsNotJoined(session, in: Self.unjoinedPause, on: loop)
            }
        }
    }

    private func handle(_ text: ByteBuffer, _ session: Session) {
        do throws(FrameRejection) {
            let frame = try ClientFrame.parse(
                text, clientID: session.identity.clientID, limits: gateway.settings.limits)
            session.received(frame, bytes: text.readableBytes)
        } catch {
            session.received(error, bytes: text.readableBytes)
        }
        regulateReading(session)
    }

    /// While replies cannot leave, or too many requests wait, the client is not read: its own pace bounds what it
    /// costs.
    private func regulateReading(_ session: Session) {
        if isCongested || session.isBacklogFull || isDraining {
            pauseReading()
        } else if isReadingPaused {
            isReadingPaused = false
            socket?.resumeReading()
        }
    }

    private func pauseReading() {
        guard !isReadingPaused else { return }
        isReadingPaused = true
        socket?.pauseReading()
    }
}

extension ClientSocket.Phase {
    fileprivate var isConnecting: Bool {
        switch self {
        case .connecting: true
        case .open, .ended: false
        }
    }

    /// The session that the socket has, or is about to have.
    fileprivate var session: SessionIdentity? {
        switch self {
        case .connecting(let resumption, _, _): resumption?.session
        case .open(let session): session.identity
        case .ended: nil
        }
    }
}

extension WebSocketCloseCode {
    /// The session continues on a newer socket: the client must not come back with its token.
    static let sessionContinuesElsewhere = WebSocketCloseCode(rawValue: 4001)
}

extension SessionIdentity {
    static func fresh() -> SessionIdentity {
        var generator = SystemRandomNumberGenerator()
        return SessionIdentity(key: .random(using: &generator), clientID: .random(using: &generator))
    }
}
