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
        locals[subscription.room]?.removeAll { $0 === subscription }
        if locals[subscription.room]?.isEmpty == true { locals[subscription.room] = nil }
        hub.writer.forget(subscription.id)
        hub.release(subscription.room, loop: index)
    }

    /// A join is under way: updates wait for its reply.
    package func suspend(_ subscription: Subscription) {
        switch subscription.flow {
        case .live(let seq), .behind(let seq, _): subscription.flow = .suspended(after: seq)
        case .suspended: break
        }
    }

    /// The join failed: what flowed before goes on from where it stood.
    package func resumeAfterFailedJoin(_ subscription: Subscription) {
        guard case .suspended(let seq?) = subscription.flow else { return }
        resume(subscription, after: seq, rosterSeq: subscription.rosterSeq)
    }

    /// The client was told everything up to `seq`, and of the roster as it was at `rosterSeq`; the rest follows.
    package func resume(_ subscription: Subscription, after seq: Seq, rosterSeq: Int64) {
        subscription.rosterSeq = rosterSeq
        subscription.flow = .behind(after: seq, fetch: nil)
        catchUp(subscription)
    }

    /// The client was told of members as they were at `rosterSeq`: what it had heard of later steps before that is said
    /// again.
    package func toldMembers(_ subscription: Subscription, at rosterSeq: Int64) {
        guard rosterSeq < subscription.rosterSeq else { return }
        subscription.rosterSeq = rosterSeq
        subscription.missedPresence = true
        catchUp(subscription)
    }

    /// The member's leave is under way: what is said of the roster does not reach it.
    package func startLeaving(_ subscription: Subscription) { subscription.isLeaving = true }

    /// The leave failed.
    package func stays(_ subscription: Subscription) {
        subscription.isLeaving = false
        subscription.missedPresence = true
        catchUp(subscription)
    }

    /// The member is enrolled in another history, where claims count anew.
    package func rejoined(_ subscription: Subscription, _ enrolled: Enrolled) { subscription.claim = enrolled.claim }

    /// The socket takes more again.
    package func sinkDrained(_ subscription: Subscription) { catchUp(subscription) }

    /// Gives a member's input to the writer. False when the writer's queue is full.
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

    /// A member's request was refused without being looked at further: settles its id, unless that belongs to another one.
    package func refuse(_ id: Int64, of subscription: Subscription) {
        guard subscription.ledger.malformed(id) else { return }
        hub.writer.refuse(id, of: subscription.clientID, on: subscription.id)
    }

    private func catchUp(_ subscription: Subscription) {
        guard let seq = subscription.needsPage, !subscription.sink.isCongested else { return }
        let fetch = subscription.nextFetch(after: seq, loop: index)
        subscription.flow = .behind(after: seq, fetch: fetch)
        hub.fetchPage(fetch)
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
            case .settled(let tickets, let end): settle(tickets, as: end)
            case .moved(let room, let members, let claim, let tickets): moved(members, of: room, claim, tickets)
            }
        }
    }

    private func broadcast(_ room: RoomNumber, from: Seq, to: Seq, _ framed: ByteBuffer) {
        for subscription in locals[room] ?? [] {
            guard case .live(let after) = subscription.flow else { continue }
            if after != from - 1 {
                // The room's home went on across a hole of the log: only a page, or a reset, can say what is there.
                subscription.flow = .behind(after: after, fetch: nil)
                catchUp(subscription)
            } else if subscription.sink.isCongested {
                subscription.flow = .behind(after: after, fetch: nil)
                hub.observe(.subscriptionFellBehind)
            } else {
                subscription.flow = .live(after: to)
                subscription.sink.send(shared: framed)
            }
        }
    }

    private func show(_ framed: ByteBuffer, in room: RoomNumber) {
        for subscription in locals[room] ?? [] where !subscription.isSuspended && !subscription.sink.isCongested {
            subscription.sink.send(shared: framed)
        }
    }

    private func tell(_ presence: Delivery.Presence) {
        for subscription in locals[presence.room] ?? []
        where !subscription.isSuspended && subscription.wantsPresence && !subscription.isLeaving
            && subscription.rosterSeq < presence.to
        {
            if subscription.rosterSeq < presence.from || subscription.sink.isCongested {
                subscription.missedPresence = true
                // Whoever is behind has a page before it anyway.
                if case .live = subscription.flow { catchUp(subscription) }
            } else {
                subscription.rosterSeq = presence.to
                guard subscription.clientID != presence.onlyAbout else { continue }
                for framed in presence.framed { subscription.sink.send(shared: framed) }
            }
        }
    }

    private func received(_ page: Delivery.Page) {
        guard let subscription = waiting(for: page.fetch) else { return }
        subscription.backoff.reset()
        for frame in page.frames { subscription.sink.send(frame) }
        // What was held back before the page came was said before the page was made. A page of members may have taken the
        // client further back than this one begins.
        if let rosterSeq = page.rosterSeq, let known = page.fetch.rosterSeq, known <= subscription.rosterSeq {
            subscription.rosterSeq = max(subscription.rosterSeq, rosterSeq)
            subscription.missedPresence = page.hasMorePresence
        }
        subscription.flow = page.isAll ? .live(after: page.to) : .behind(after: page.to, fetch: nil)
        catchUp(subscription)
    }

    /// nil when nobody waits for this answer any more.
    private func waiting(for fetch: Fetch) -> Subscription? {
        guard let subscription = subscriptions[fetch.subscription], case .behind(_, fetch) = subscription.flow
        else { return nil }
        return subscription
    }

    private func failed(_ fetch: Fetch) {
        guard let subscription = waiting(for: fetch) else { return }
        subscription.flow = .behind(after: subscription.seen, fetch: nil)
        loop.assumeIsolated().scheduleTask(in: subscription.nextAttempt()) { [weak subscription, weak self] in
            guard let subscription, let self else { return }
            self.catchUp(subscription)
        }
    }

    private func reset(_ fetch: Fetch, to: Seq, _ rosterSeq: Int64, _ frame: ByteBuffer) {
        guard let subscription = waiting(for: fetch) else { return }
        subscription.sink.send(frame)
        // The frame may be older than what the client has heard of the roster meanwhile; the next page makes up for that.
        subscription.rosterSeq = rosterSeq
        subscription.flow = .behind(after: to, fetch: nil)
        catchUp(subscription)
    }

    private func moved(_ members: Set<ClientID>, of room: RoomNumber, _ claim: Int64, _ tickets: [Ticket]) {
        for subscription in locals[room] ?? [] where subscription.claim < claim {
            if members.contains(subscription.clientID) {
                subscription.sink.endForTakeover()
            } else {
                subscription.claim = claim
            }
        }
        hub.writer.readmit(Set(tickets.map(\.subscription)))
    }

    private func settle(_ tickets: [Ticket], as end: InputEnd) {
        for ticket in tickets {
            guard let subscription = subscriptions[ticket.subscription] else { continue }
            subscription.settle(ticket.request, as: end)
        }
        if case .failed(let error) = end, error.code.isTemporary {
            hub.writer.readmit(Set(tickets.map(\.subscription)))
        }
    }
}
