import NIOCore
import ParleyCore

@testable import ParleyHub
@testable import ParleyPostgres

/// One server process: the machines of the hub, put together as its shells do it, with events instead of threads.
final class SimulatedNode {
    let world: World
    let index: Int
    let process = SimulatedProcess()
    /// nil until the database knows the node.
    private(set) var registration: Registration?
    private var isRenewing = false
    private(set) lazy var writer = SimulatedWriter(self)
    private(set) lazy var desk = SimulatedDesk(of: self)
    private(set) lazy var homes = SimulatedHomes(self)
    private(set) lazy var directory = SimulatedDirectory(self)
    private lazy var reading = SimulatedConnection(world, of: process)
    /// To the loop of the sockets, from writer and homes: one mailbox.
    private lazy var mailbox = Channel(world.schedule, to: process, delay: 0...300)
    var subscriptions: [SubscriptionID: Subscription] = [:]
    var locals: [RoomNumber: [Subscription]] = [:]
    private var lastSubscription: UInt64 = 0
    private var batches = BatchWatch()
    private var silence: SilenceWatch
    private var isListening = false

    init(_ world: World, index: Int) {
        self.world = world
        self.index = index
        silence = SilenceWatch(lease: .microseconds(world.plan.lease))
    }

    func start() {
        register()
        writer.run()
        beat()
        listen()
        directory.run()
    }

    private func register() {
        let database = world.database
        reading.execute {
            database.register()
        } then: { [self] answer in
            guard let answer else { return register() }
            registration = answer
        }
    }

    /// Declared dead, as seen under `past`.
    func renew(_ past: Registration) {
        guard registration == past, !isRenewing else { return }
        world.schedule.note("node \(index): was declared dead")
        isRenewing = true
        directory.endSockets()
        askForRenewal(past)
    }

    private func askForRenewal(_ past: Registration) {
        let database = world.database
        reading.execute {
            database.renew(past.node)
        } then: { [self] answer in
            guard let answer else { return askForRenewal(past) }
            registration = answer
            isRenewing = false
        }
    }

    /// nil when it could not be read.
    func read<Answer>(_ statement: @escaping () -> Answer, then: @escaping (Answer?) -> Void) {
        reading.execute(statement, then: then)
    }

    // MARK: - What other nodes do

    func announce(_ hint: Hint) { world.announce(hint, from: self) }

    func heard(_ hint: Hint) {
        guard isListening, registration?.writers.contains(hint.writer) != true else { return }
        batches.announced(hint.batch, by: hint.writer, at: world.schedule.instant)
        for pointer in hint.pointers { homes.announced(pointer) }
        directory.overtaken(by: hint.takeUps)
    }

    /// The connection that listens is lost, and made anew.
    func cutListener() {
        isListening = false
        world.schedule.after(50_000...600_000, on: process) { [self] in listen() }
    }

    private func listen() {
        isListening = true
        batches.listening()
        resync()
    }

    private func resync() {
        homes.resync()
        directory.askWhoWasOvertaken()
    }

    private func beat() {
        world.schedule.after(1_000_000, on: process) { [self] in beat() }
        guard let registration else { return }
        let (database, sentAt) = (world.database, world.schedule.instant)
        read {
            database.heartbeat(of: registration)
        } then: { [self] answer in
            guard let answer else { return }
            if answer.isDead { return renew(registration) }
            let beats = answer.writers.map { WriterBeat(writer: $0.writer, lastBatch: $0.lastBatch) }
            batches.committed(beats, at: world.schedule.instant)
            let silent = silence.heard(answer.silent, sentAt: sentAt)
            if !silent.isEmpty {
                read {
                    database.declareDead(silent)
                } then: { _ in
                }
            }
            if answer.hasNodeToClear {
                desk.clear { [homes] pointers in for pointer in pointers { homes.announced(pointer) } }
            }
            world.schedule.after(300_000, on: process) { [self] in
                if batches.isOverdue(at: world.schedule.instant) { resync() }
            }
        }
    }

    // MARK: - Subscriptions

    func subscribe(_ client: ClientID, _ room: RoomID, _ enrolled: Enrolled, sink: any FrameSink) -> Subscription {
        lastSubscription += 1
        let subscription = Subscription(
            id: SubscriptionID(lastSubscription), clientID: client, roomID: room, enrolled: enrolled,
            inFlightMax: world.plan.limits.inFlight, backoff: Backoff(first: .milliseconds(1), max: .seconds(1)),
            sink: sink)
        subscriptions[subscription.id] = subscription
        locals[enrolled.room, default: []].append(subscription)
        return subscription
    }

    func unsubscribe(_ subscription: Subscription) {
        guard subscriptions.removeValue(forKey: subscription.id) != nil else { return }
        locals[subscription.room]?.removeAll { $0 === subscription }
        writer.forget(subscription.id)
        homes.release(subscription.room)
    }

    func catchUp(_ subscription: Subscription) {
        if let fetch = subscription.startFetch(loop: 0) { homes.fetchPage(fetch) }
    }

    func post(_ delivery: Delivery) { mailbox.send { [self] in deliver(delivery) } }

    private func deliver(_ delivery: Delivery) {
        switch delivery {
        case .update(let room, let from, let to, let framed):
            for subscription in locals[room] ?? [] {
                if subscription.heard(from: from, to: to, framed) == .missesSome { catchUp(subscription) }
            }
        case .presence(let presence):
            for subscription in locals[presence.room] ?? [] where subscription.heard(presence) {
                catchUp(subscription)
            }
        case .signals: break
        case .page(let page):
            guard let subscription = subscriptions[page.fetch.subscription], subscription.received(page) else {
                return
            }
            catchUp(subscription)
        case .pageFailed(let fetch):
            guard let subscription = subscriptions[fetch.subscription], subscription.failed(fetch) else { return }
            world.schedule.after(10_000...100_000, on: process) { [self] in catchUp(subscription) }
        case .reset(let fetch, let to, let rosterSeq, let frame):
            guard let subscription = subscriptions[fetch.subscription],
                subscription.received(resetTo: to, rosterSeq: rosterSeq, frame, for: fetch)
            else { return }
            catchUp(subscription)
        case .answered(let tickets, let end):
            for ticket in tickets { subscriptions[ticket.subscription]?.answer(ticket.request, with: end) }
            if case .failed(let error) = end, error.code.isTemporary {
                writer.readmit(Set(tickets.map(\.subscription)))
            }
        case .moved(let room, let members, let since, let claim, let tickets):
            for subscription in locals[room] ?? [] { subscription.moved(members, since: since, claim: claim) }
            writer.readmit(Set(tickets.map(\.subscription)))
        }
    }
}
