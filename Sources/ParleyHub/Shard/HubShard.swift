import Logging
package import NIOCore
package import ParleyCore
import ParleyWire

/// The part of the hub that lives on one event loop: the homes of some rooms, and the subscriptions of the sockets of
/// this loop, which may be in rooms whose home is elsewhere. Everything here happens on that loop.
package final class HubShard {
    package let index: Int
    package let loop: any EventLoop
    /// Each holds the other, until the process ends: a loop may have something left to do when all else has stopped.
    let hub: Hub
    var residences: [RoomNumber: Residence] = [:]
    var ticks: TickSchedule
    private var subscriptions: [SubscriptionID: Subscription] = [:]
    private var locals: [RoomNumber: [Subscription]] = [:]
    private var lastSubscription: UInt64 = 0

    init(index: Int, loop: any EventLoop, hub: Hub) {
        self.index = index
        self.loop = loop
        self.hub = hub
        ticks = TickSchedule(tick: hub.settings.tick)
    }

    // MARK: - Subscriptions of this loop

    /// Begins to take what the room broadcasts for this member. It flows once `resume` was called.
    package func subscribe(clientID: ClientID, roomID: RoomID, enrolled: Enrolled, sink: any FrameSink) -> Subscription
    {
        lastSubscription += 1
        let subscription = Subscription(
            id: SubscriptionID(lastSubscription << 8 | UInt64(index)), clientID: clientID, roomID: roomID,
            enrolled: enrolled, inFlightMax: hub.settings.limits.inFlight, backoff: hub.settings.backoff, sink: sink)
        subscriptions[subscription.id] = subscription
        locals[enrolled.room, default: []].append(subscription)
        return subscription
    }

    /// Nothing reaches the subscription any more, and nothing that it has in flight will be answered.
    package func unsubscribe(_ subscription: Subscription) {
        guard subscriptions.removeValue(forKey: subscription.id) != nil else { return }
        subscription.end()
        locals[subscription.room]?.removeAll { $0 === subscription }
        if locals[subscription.room]?.isEmpty == true { locals[subscription.room] = nil }
        hub.writer.forget(subscription.id)
        hub.release(subscription.room, loop: index)
    }

    /// A join is under way: updates wait for its reply.
    package func suspend(_ subscription: Subscription) { subscription.suspend() }

    /// The join failed: what flowed before goes on from where it stood.
    package func resumeAfterFailedJoin(_ subscription: Subscription) {
        guard case .suspended(let seq?) = subscription.flow else { return }
        resume(subscription, after: seq, rosterSeq: subscription.rosterSeq)
    }

    /// The client was told everything up to `seq`, and of the roster as it was at `rosterSeq`; the rest follows.
    package func resume(_ subscription: Subscription, after seq: Seq, rosterSeq: Int64) {
        subscription.resume(after: seq, rosterSeq: rosterSeq)
        catchUp(subscription)
    }

    /// The client was told of members as they were at `rosterSeq`: what it had heard of later steps before that is said
    /// again.
    package func toldMembers(_ subscription: Subscription, at rosterSeq: Int64) {
        if subscription.toldMembers(at: rosterSeq) { catchUp(subscription) }
    }

    /// The member's leave is under way: what is said of the roster does not reach it.
    package func startLeaving(_ subscription: Subscription) { subscription.isLeaving = true }

    /// The leave failed.
    package func stays(_ subscription: Subscription) {
        subscription.isLeaving = false
        subscription.missedPresence = true
        catchUp(subscription)
    }

    /// The member is enrolled on another timeline, where claims count anew.
    package func enrolledAnew(_ subscription: Subscription, _ enrolled: Enrolled) {
        subscription.claim = enrolled.claim
        subscription.isRuled = enrolled.isRuled
        subscription.isRemoved = false
    }

    /// The socket takes more again.
    package func sinkDrained(_ subscription: Subscription) { catchUp(subscription) }

    /// Gives a member's input to the writer. False when that took nothing: its queue is full, or something of the member
    /// was given up of which this loop has not heard yet.
    package func submit(
        _ change: [UInt8], set: ValueSet? = nil, request: Int64?, of subscription: Subscription
    ) -> Bool {
        hub.writer.enqueue(
            change, set: set, ticket: Ticket(loop: index, subscription: subscription.id, request: request),
            of: subscription)
    }

    /// Shows a member's signal to all who are in the room, on all nodes.
    package func signal(_ signal: Signal, from subscription: Subscription) {
        let signals = RoomSignals(room: subscription.room, signals: [signal])
        hub.onHome(of: subscription.room) { $0.signalled(signals) }
        hub.signalPost.add(signal, to: subscription.room)
    }

    /// A member's request was refused without being looked at further: settles its id, unless that belongs to another
    /// one.
    package func refuse(_ id: Int64, of subscription: Subscription) {
        guard subscription.ledger.malformed(id) else { return }
        hub.writer.refuse(id, of: subscription.clientID, on: subscription.id)
    }

    /// Memberships were ended from outside: their sockets tell their clients.
    func ended(_ memberships: [EndedMembership]) {
        for ended in memberships {
            for subscription in locals[ended.room] ?? [] where subscription.isEnded(by: ended) {
                subscription.isRemoved = true
                subscription.sink.endMembership(of: subscription, by: ended)
            }
        }
    }

    private func catchUp(_ subscription: Subscription) {
        if let fetch = subscription.startFetch(loop: index) { hub.fetchPage(fetch) }
    }

    // MARK: - Deliveries to this loop

    func deliver(_ deliveries: [Delivery]) {
        for delivery in deliveries {
            switch delivery {
            case .update(let room, let from, let to, let framed): broadcast(room, from: from, to: to, framed)
            case .presence(let presence): tell(presence)
            case .signals(let room, let framed): show(framed, in: room)
            case .page(let page): received(page)
            case .pageFailed(let fetch): failed(fetch)
            case .reset(let fetch, let to, let rosterSeq, let frame): reset(fetch, to: to, rosterSeq, frame)
            case .answered(let tickets, let end): answer(tickets, with: end)
            case .moved(let room, let members, let since, let claim, let tickets):
                for subscription in locals[room] ?? [] { subscription.moved(members, since: since, claim: claim) }
                hub.writer.readmit(Set(tickets.map(\.subscription)))
            }
        }
    }

    private func broadcast(_ room: RoomNumber, from: Seq, to: Seq, _ framed: ByteBuffer) {
        for subscription in locals[room] ?? [] {
            switch subscription.heard(from: from, to: to, framed) {
            case .passed: break
            case .missesSome: catchUp(subscription)
            case .fellBehind: hub.observe(.subscriptionFellBehind)
            }
        }
    }

    private func show(_ framed: ByteBuffer, in room: RoomNumber) {
        for subscription in locals[room] ?? [] where !subscription.isSuspended && !subscription.sink.isCongested {
            subscription.sink.send(shared: framed)
        }
    }

    private func tell(_ presence: Delivery.Presence) {
        for subscription in locals[presence.room] ?? [] where subscription.heard(presence) { catchUp(subscription) }
    }

    private func received(_ page: Delivery.Page) {
        guard let subscription = subscriptions[page.fetch.subscription], subscription.received(page) else { return }
        catchUp(subscription)
    }

    private func failed(_ fetch: Fetch) {
        guard let subscription = subscriptions[fetch.subscription], subscription.failed(fetch) else { return }
        loop.assumeIsolated().scheduleTask(in: subscription.nextAttempt()) { [weak subscription, weak self] in
            guard let subscription, let self else { return }
            self.catchUp(subscription)
        }
    }

    private func reset(_ fetch: Fetch, to: Seq, _ rosterSeq: Int64, _ frame: ByteBuffer) {
        guard let subscription = subscriptions[fetch.subscription],
            subscription.received(resetTo: to, rosterSeq: rosterSeq, frame, for: fetch)
        else { return }
        catchUp(subscription)
    }

    private func answer(_ tickets: [Ticket], with end: InputEnd) {
        for ticket in tickets {
            guard let subscription = subscriptions[ticket.subscription] else { continue }
            subscription.answer(ticket.request, with: end)
        }
        if case .failed(let error) = end, error.code.isTemporary {
            hub.writer.readmit(Set(tickets.map(\.subscription)))
        }
    }
}
