import NIOCore
import ParleyCore
import ParleyWire

@testable import ParleyHub

/// One socket on its node, and the session on it. What it sends travels to its client in order.
final class SimulatedSocket: FrameSink {
    private struct Seat {
        var subscription: Subscription?
        /// A join is under way that later requests must wait for.
        var isBusy = false
        var queue: [ClientRequest] = []
    }

    private enum Phase {
        case connecting(waiting: [ClientRequest])
        case open(number: Int64)
        case ended
    }

    /// Rises over all sockets of the run.
    let serial: Int64
    let session: SessionIdentity
    private let node: SimulatedNode
    private let client: SimulatedClient
    private let toClient: Channel
    private let toNode: Channel
    private var phase = Phase.connecting(waiting: [])
    private var seats: [RoomID: Seat] = [:]
    /// What older sockets had, once this one's taking up has ended.
    private var inherited: SimulatedDirectory.Places = []
    private var isTakingUp = false
    private var whenTakenUp: [() -> Void] = []
    private(set) var isCongested = false
    private var world: World { node.world }

    init(_ serial: Int64, of client: SimulatedClient, on node: SimulatedNode) {
        self.serial = serial
        self.client = client
        self.node = node
        session = client.session
        toClient = Channel(node.world.schedule, to: nil, delay: 100...1_500)
        toNode = Channel(node.world.schedule, to: node.process, delay: 100...1_500)
    }

    var isOnLivingNode: Bool { node.process.isAlive }
    var nodeIndex: Int { node.index }

    // MARK: - The client's side

    func connect(resumes: Bool) { toNode.send { [self] in open(resumes: resumes) } }

    func request(_ request: ClientRequest) { toNode.send { [self] in received(request) } }

    /// The client has given it up; the node finds out later. What is on the way may arrive, much later too.
    func abandon() {
        if world.schedule.random.happens(40) {
            toNode.hold(until: world.schedule.now + world.schedule.random.pick(10_000...800_000))
            return toNode.send { [self] in closed() }
        }
        let delay = world.schedule.random.pick(0...(world.schedule.random.happens(50) ? 5_000 : 2_000_000))
        world.schedule.after(delay, on: node.process) { [self] in closed() }
    }

    func congest(for time: Schedule.Time) {
        guard !isCongested else { return }
        isCongested = true
        toClient.hold(until: world.schedule.now + time)
        world.schedule.after(time, on: node.process) { [self] in
            isCongested = false
            for (_, seat) in sortedSeats {
                if let subscription = seat.subscription { node.catchUp(subscription) }
            }
        }
    }

    // MARK: - FrameSink

    func send(_ frame: ByteBuffer) { tell(.frame(frame)) }
    func send(shared: ByteBuffer) { tell(.frame(shared)) }
    func endForFlood() { world.oracle.fail("\(session.clientID) is taken for a flood") }
    func endForRestart() { close(1012) }
    func endMembership(of subscription: Subscription, by ended: EndedMembership) {
        world.oracle.fail("nobody has removed \(session.clientID)")
    }

    func endForTakeover() {
        guard !isEnded else { return }
        let places = cease()
        close(4001)
        node.writer.evict(places, then: node.directory.overtaken(self))
    }

    private func tell(_ message: ServerMessage) {
        toClient.send { [self] in client.received(message, on: self) }
    }

    private func close(_ code: Int) {
        tell(.closed(code))
        world.schedule.after(100...2_000, on: node.process) { [self] in closed() }
    }

    // MARK: - The session

    private var isEnded: Bool {
        if case .ended = phase { true } else { false }
    }

    private var sortedSeats: [(RoomID, Seat)] { seats.sorted { $0.key.text < $1.key.text } }

    private func open(resumes: Bool) {
        guard resumes else {
            _ = node.directory.open(self, number: 0)
            return begin(0)
        }
        let older = node.directory.open(self, number: nil)
        isTakingUp = true
        let displaced: (SimulatedDirectory.Places) -> Void = { [self] places in
            inherited = places
            node.writer.evict(places) { [self] in
                guard !isEnded else { return tookUp(nil) }
                node.desk.takeUp(session) { [self] number in tookUp(number) }
            }
        }
        if let older { older.displace(then: displaced) } else { displaced([]) }
    }

    private func tookUp(_ number: Int64?) {
        isTakingUp = false
        for done in whenTakenUp { done() }
        whenTakenUp = []
        guard !isEnded else { return node.directory.endedLate(self, number: number) }
        guard let number else { return close(1013) }
        if node.directory.tookUp(self, number: number) {
            begin(number)
        } else {
            displace { _ in }
        }
    }

    private func begin(_ number: Int64) {
        guard case .connecting(let waiting) = phase else { return }
        phase = .open(number: number)
        tell(.connected)
        for request in waiting { received(request) }
    }

    /// A newer socket has the session. Answers what this one had.
    func displace(then: @escaping (SimulatedDirectory.Places) -> Void) {
        let places = cease()
        close(4001)
        guard isTakingUp else { return then(places + inherited) }
        whenTakenUp.append { [self] in then(inherited) }
    }

    /// Nothing that comes from the client is looked at any more.
    private func cease() -> SimulatedDirectory.Places {
        if isEnded { return inherited }
        phase = .ended
        let subscriptions = sortedSeats.compactMap(\.1.subscription)
        for subscription in subscriptions { node.unsubscribe(subscription) }
        seats = [:]
        inherited += subscriptions.map { ($0.id, $0.room) }
        return inherited
    }

    private func closed() {
        guard !isEnded else { return }
        _ = cease()
        node.directory.lost(self)
    }

    private func received(_ request: ClientRequest) {
        switch phase {
        case .connecting(let waiting): phase = .connecting(waiting: waiting + [request])
        case .open(let number):
            if seats[request.room]?.isBusy == true {
                seats[request.room]?.queue.append(request)
            } else {
                handle(request, number)
            }
        case .ended: break
        }
    }

    private func handle(_ request: ClientRequest, _ number: Int64) {
        switch request {
        case .join(let room, let after): join(room, after: after, number)
        case .message(let room, let id): message(room, id)
        case .malformed(let room, let id):
            if let subscription = seats[room]?.subscription, subscription.ledger.malformed(id) {
                node.writer.refuse(id, of: subscription)
            }
            refuse(RequestError(.badRequest, "malformed"), id, room)
        }
    }

    private func message(_ room: RoomID, _ id: Int64) {
        guard let subscription = seats[room]?.subscription else {
            return refuse(RequestError(.notJoined, "not joined"), id, room)
        }
        switch subscription.received(id) {
        case .submit: break
        case .awaited: return
        case .duplicate: return send(ServerFrame.ack(id: id, roomID: room))
        case .refuse(let error): return refuse(error, id, room)
        case .flood: return endForFlood()
        }
        let change = encodedChange(
            clientID: session.clientID, userID: nil, id: id, at: serial, .message(Array(String(id).utf8)))
        guard !node.writer.enqueue(change, request: id, of: subscription) else { return }
        subscription.notTaken(id)
        refuse(RequestError(.unavailable, "the writer takes nothing"), id, room)
    }

    private func refuse(_ error: RequestError, _ id: Int64, _ room: RoomID) {
        send(ServerFrame.error(error, id: id, roomID: room.text))
    }

    // MARK: - Joining

    private func join(_ room: RoomID, after: ResumePoint?, _ number: Int64) {
        let known = seats[room]?.subscription
        seats[room, default: Seat()].isBusy = true
        known?.suspend()
        admit(room, after: after, number, isRepeat: known != nil) { [self] admission in
            guard !isEnded else {
                if known == nil, let admission { node.homes.release(admission.enrolled.room) }
                return node.directory.endedLate(self, number: number)
            }
            joined(room, after: after, admission)
            finish(room, number)
        }
    }

    private struct Admission {
        var enrolled: Enrolled
        var snapshot: Snapshot
        var rosterSeq: Int64
    }

    /// As the hub does it. nil when something could not be had in time.
    private func admit(
        _ room: RoomID, after: ResumePoint?, _ number: Int64, isRepeat: Bool, then: @escaping (Admission?) -> Void
    ) {
        node.desk.join(session, socket: number, room) { [self] enrolled in
            guard let enrolled else { return then(nil) }
            let fail = { [node] in
                if !isRepeat { node.homes.release(enrolled.room) }
                then(nil)
            }
            let read = { [self] in
                if let change = enrolled.change {
                    node.homes.received(change, count: enrolled.count, room: enrolled.room)
                }
                let database = world.database
                node.read {
                    database.snapshot(of: enrolled.room, after.map { .after($0) } ?? .recent(0))
                } then: { [node] snapshot in
                    guard let snapshot, let snapshot else { return fail() }
                    node.homes.whenReached(enrolled.room, seq: 0, rosterSeq: enrolled.rosterSeq) { hasReached in
                        guard hasReached else { return fail() }
                        let rosterSeq = node.homes.rosterSeq(of: enrolled.room) ?? enrolled.rosterSeq
                        then(Admission(enrolled: enrolled, snapshot: snapshot, rosterSeq: rosterSeq))
                    }
                }
            }
            guard !isRepeat else { return read() }
            node.homes.open(enrolled.room, room) { isOpen in
                if isOpen { read() } else { then(nil) }
            }
        }
    }

    private func joined(_ room: RoomID, after: ResumePoint?, _ admission: Admission?) {
        let known = seats[room]?.subscription
        guard let admission else {
            tell(.joinFailed(room))
            if let known, case .suspended(let seq?) = known.flow {
                known.resume(after: seq, rosterSeq: known.rosterSeq)
                node.catchUp(known)
            }
            return
        }
        let subscription = known ?? node.subscribe(session.clientID, room, admission.enrolled, sink: self)
        seats[room]?.subscription = subscription
        if known != nil { subscription.rejoined(admission.enrolled) }
        var snapshot = admission.snapshot
        if after != nil { snapshot.keepOldest(bytesMax: world.plan.joinBytesMax) }
        tell(.joined(JoinAnswer(room: room, marks: subscription.marks, snapshot: snapshot)))
        subscription.resume(after: snapshot.end.seq, rosterSeq: admission.rosterSeq)
        node.catchUp(subscription)
    }

    private func finish(_ room: RoomID, _ number: Int64) {
        seats[room]?.isBusy = false
        while seats[room]?.isBusy == false, seats[room]?.queue.isEmpty == false {
            guard let next = seats[room]?.queue.removeFirst() else { break }
            handle(next, number)
        }
        if let seat = seats[room], !seat.isBusy, seat.subscription == nil { seats[room] = nil }
    }
}

enum ClientRequest {
    case join(RoomID, after: ResumePoint?)
    case message(RoomID, Int64)
    /// A message that is no JSON.
    case malformed(RoomID, Int64)

    var room: RoomID {
        switch self {
        case .join(let room, _), .message(let room, _), .malformed(let room, _): room
        }
    }
}

enum ServerMessage {
    case connected
    case joined(JoinAnswer)
    case joinFailed(RoomID)
    case frame(ByteBuffer)
    case closed(Int)
}

struct JoinAnswer {
    var room: RoomID
    var marks: Marks
    var snapshot: Snapshot
}
