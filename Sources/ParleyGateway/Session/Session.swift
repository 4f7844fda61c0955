import DequeModule
import NIOCore
import ParleyCore
import ParleyHub
import ParleyWire

/// What one client asks for on one socket, and what it is answered. Lives on the socket's event loop.
///
/// Requests of one room are handled in the order in which they came: while one waits for the store (create, join,
/// leave), the later ones of that room wait in its queue. Messages do not wait for each other; the writer keeps their
/// order.
final class Session {
    struct Seat {
        var subscription: Subscription?
        /// A request is under way that the later ones must wait for.
        var isBusy = false
        /// What the client shows of itself in the room, as far as it was said on this socket.
        var profile: [UInt8]?
        /// The room is to be taken up again when the request that is under way has ended.
        var isToRejoin = false
        var isRejoining = false
        /// The membership was ended from outside while a request was under way.
        var ended: EndedMembership?
        /// A join is under way that may make the client a member.
        var isJoining = false
        var queue: Deque<Waiting> = []

        var countsAsRoom: Bool { subscription != nil || isJoining }
    }

    /// What came while an earlier request to its room was under way.
    struct Waiting {
        enum Content {
            case request(ClientFrame)
            case rejection(FrameRejection)
        }
        var content: Content
        /// Of the frame as it came.
        var bytes: Int
        /// By when it is to be answered.
        var due: NIODeadline
    }

    let identity: SessionIdentity
    /// Of this socket within the session.
    let number: Int64
    let hub: Hub
    let shard: HubShard
    let settings: GatewaySettings
    let loop: any EventLoop
    /// The socket owns this session, ends it before it goes, and after that nothing here uses the sink.
    unowned let sink: any FrameSink
    var seats: [RoomID: Seat] = [:]
    /// The memberships that the socket found and that the client has not taken up by a join.
    var unjoined: [RoomID: RoomNumber]
    var signalRate: RateBucket
    /// Those that came too fast, the newest of each kind, by their heads.
    var heldSignals: [RoomID: [[UInt8]: Signal]] = [:]
    private(set) var hasEnded = false
    /// Requests that wait in all queues.
    private(set) var backlog = 0
    /// Of their frames.
    private(set) var backlogBytes = 0
    /// Requests that the store is asked for at this moment.
    private var underWay = 0
    /// The backlog may have become smaller.
    var backlogShrank: () -> Void = {}
    /// A join has ended, or may have, after the socket.
    var endedLate: @Sendable () -> Void = {}

    init(
        identity: SessionIdentity, number: Int64, memberships: [Membership], hub: Hub, shard: HubShard,
        settings: GatewaySettings, loop: any EventLoop, sink: any FrameSink
    ) {
        self.identity = identity
        self.number = number
        unjoined = Dictionary(memberships.map { ($0.id, $0.room) }) { first, _ in first }
        self.hub = hub
        self.shard = shard
        self.settings = settings
        self.loop = loop
        self.sink = sink
        signalRate = RateBucket(
            perSecond: settings.signalsPerSecond, burst: settings.signalsAtOnce, now: .now())
    }

    /// Nothing that the client has sent is under way.
    var isSettled: Bool {
        underWay == 0
            && seats.values.allSatisfy { seat in
                !seat.isBusy && seat.queue.isEmpty && seat.subscription?.ledger.isIdle ?? true
            }
    }

    // MARK: - Coming in

    /// - Parameter bytes: Of the frame as it came.
    func received(_ frame: ClientFrame, bytes: Int) {
        if let room = frame.request.orderedRoom, seats[room]?.isBusy == true {
            wait(.request(frame), for: room, bytes: bytes)
        } else {
            handle(frame)
        }
    }

    /// The frame was no request: says so, and settles the id if it would have been one that is applied at most once;
    /// that in its turn, for the ids of a room rise.
    func received(_ rejection: FrameRejection, bytes: Int) {
        if rejection.settlesID, let room = rejection.roomID.flatMap(RoomID.init), seats[room]?.isBusy == true {
            wait(.rejection(rejection), for: room, bytes: bytes)
        } else {
            handle(rejection)
        }
    }

    private func wait(_ content: Waiting.Content, for room: RoomID, bytes: Int) {
        seats[room]?.queue.append(Waiting(content: content, bytes: bytes, due: .now() + settings.patience))
        backlog += 1
        backlogBytes += bytes
    }

    private func handle(_ rejection: FrameRejection) {
        if rejection.settlesID, let id = rejection.id, let room = rejection.roomID.flatMap(RoomID.init),
            let subscription = seats[room]?.subscription
        {
            shard.refuse(id, of: subscription)
        }
        sink.send(ServerFrame.error(rejection.error, id: rejection.id, roomID: rejection.roomID))
    }

    /// The socket takes more again.
    func sinkDrained() {
        for seat in seats.values {
            if let subscription = seat.subscription { shard.sinkDrained(subscription) }
        }
    }

    private func handle(_ frame: ClientFrame) {
        switch frame.request {
        case .ping:
            sink.send(ServerFrame.ping(id: frame.id, at: UnixTime.milliseconds()))
        case .create(let request):
            create(request, id: frame.id)
        case .join(let request):
            join(request, id: frame.id)
        case .message(let room, let payload):
            submit(.message(payload), id: frame.id, to: room)
        case .history(let query):
            history(query, id: frame.id)
        case .members(let room, let after, let limit):
            members(of: room, after: after, limit: limit, id: frame.id)
        case .leave(let room):
            leave(room, id: frame.id)
        case .set(let request):
            submit(.set(request.object), set: request.valueSet, id: frame.id, to: request.room)
        case .signal(let room, let key, let payload):
            guard let subscription = joined(room, id: frame.id) else { return }
            show(Signal(clientID: identity.clientID, key: key, payload: payload), in: subscription)
        }
    }

    // MARK: - Changes

    private func submit(_ content: ChangeContent, set: ValueSet? = nil, id: Int64?, to room: RoomID) {
        guard let subscription = joined(room, id: id) else { return }
        if let id {
            switch subscription.received(id) {
            case .submit: break
            case .awaited: return
            case .duplicate: return sink.send(ServerFrame.ack(id: id, roomID: subscription.roomID))
            case .refuse(let error): return sendError(error, id: id, room: subscription.roomID)
            case .flood: return sink.endForFlood()
            }
        }
        let change = encodedChange(
            clientID: identity.clientID, userID: identity.userID, id: id, at: UnixTime.milliseconds(), content)
        guard !shard.submit(change, set: set, request: id, of: subscription) else { return }
        if let id { subscription.notTaken(id) }
        sendError(
            RequestError(.unavailable, "this node cannot take it now; send it again"), id: id,
            room: subscription.roomID)
    }

    func joined(_ room: RoomID, id: Int64?) -> Subscription? {
        if let subscription = seats[room]?.subscription { return subscription }
        sendError(RequestError(.notJoined, "you are not in this room; send `join` first"), id: id, room: room)
        return nil
    }

    func sendError(_ error: RequestError, id: Int64?, room: RoomID) {
        sink.send(ServerFrame.error(error, id: id, roomID: room.text))
    }

    /// So much waits that the client must not be read.
    var isBacklogFull: Bool {
        backlog >= settings.backlogMax || backlogBytes >= settings.backlogBytesMax || underWay >= settings.underWayMax
    }

    // MARK: - One after another

    func begin(_ room: RoomID) { seats[room, default: Seat()].isBusy = true }

    func finish(_ room: RoomID) {
        seats[room]?.isBusy = false
        if rejoinsInstead(room) || endsInstead(room) { return }
        while seats[room]?.isBusy == false, let next = seats[room]?.queue.popFirst() {
            backlog -= 1
            backlogBytes -= next.bytes
            switch next.content {
            case .rejection(let rejection): handle(rejection)
            case .request(let frame) where frame.request.asksTheStore && next.due <= .now():
                // Those before it have used its time up: each with its own would make one wait for the sum of all.
                sendError(StoreError.unavailable(reason: "").forClient, id: frame.id, room: room)
            case .request(let frame): handle(frame)
            }
        }
        if let seat = seats[room], !seat.isBusy, seat.subscription == nil { seats[room] = nil }
        backlogShrank()
    }

    /// Does something away from the loop and comes back to it with the result; `orElse` takes the result when the
    /// socket has ended meanwhile.
    func perform<Value: Sendable>(
        _ work: @escaping @Sendable (Hub) async throws(StoreError) -> Value,
        then: @escaping (Session, Result<Value, StoreError>) -> Void,
        orElse: @escaping @Sendable (Hub, Result<Value, StoreError>) -> Void = { _, _ in }
    ) {
        underWay += 1
        let (hub, loop) = (hub, loop)
        let back = NIOLoopBound((session: self, then: then), eventLoop: loop)
        Task {
            let result: Result<Value, StoreError>
            do throws(StoreError) {
                result = .success(try await work(hub))
            } catch {
                result = .failure(error)
            }
            loop.execute {
                let (session, then) = back.value
                session.underWay -= 1
                guard !session.hasEnded else { return orElse(hub, result) }
                then(session, result)
                if !session.hasEnded { session.backlogShrank() }
            }
        }
    }

    // MARK: - The end

    /// The socket is gone, or is to be. Nothing reaches the client any more. Returns the places that it had.
    func end() -> SessionDirectory.Places {
        guard !hasEnded else { return [] }
        hasEnded = true
        let subscriptions = seats.values.compactMap(\.subscription)
        for subscription in subscriptions { shard.unsubscribe(subscription) }
        seats = [:]
        return subscriptions.map { ($0.id, $0.room) }
    }
}
