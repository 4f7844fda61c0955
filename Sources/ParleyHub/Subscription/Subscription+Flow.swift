import NIOCore
import ParleyCore

/// How what a room says reaches the client of a subscription: once, in order, without a hole. Decides and sends to the
/// sink; whoever calls asks for the pages (`startFetch`).
extension Subscription {
    /// What became of a broadcast.
    enum Heard {
        case passed
        /// Something before it did not come: only a page, or a reset, can say what.
        case missesSome
        /// The client is too slow for it.
        case fellBehind
    }

    /// A join is under way: updates wait for its reply.
    func suspend() {
        switch flow {
        case .live(let seq), .behind(let seq, _): flow = .suspended(after: seq)
        case .suspended: break
        }
    }

    /// The client was told everything up to `seq`, and of the roster as it was at `rosterSeq`.
    func resume(after seq: Seq, rosterSeq: Int64) {
        self.rosterSeq = rosterSeq
        flow = .behind(after: seq, fetch: nil)
    }

    /// True when what the client had heard of later steps before that is to be said again.
    func toldMembers(at rosterSeq: Int64) -> Bool {
        guard rosterSeq < self.rosterSeq else { return false }
        self.rosterSeq = rosterSeq
        missedPresence = true
        return true
    }

    // MARK: - Broadcasts

    /// One update for all who are in the room.
    func heard(from: Seq, to: Seq, _ framed: ByteBuffer) -> Heard {
        guard case .live(let after) = flow else { return .passed }
        if after != from - 1 {
            // The room's home went on across a hole of the log.
            flow = .behind(after: after, fetch: nil)
            return .missesSome
        }
        if sink.isCongested {
            flow = .behind(after: after, fetch: nil)
            return .fellBehind
        }
        flow = .live(after: to)
        sink.send(shared: framed)
        return .passed
    }

    /// True when the client misses some of it and has no page before it anyway.
    func heard(_ presence: Delivery.Presence) -> Bool {
        guard !isSuspended, wantsPresence, !isLeaving, rosterSeq < presence.to else { return false }
        // A page that is on its way comes by the same mailbox, hence is made after this was said, and says it too.
        if rosterSeq < presence.from || sink.isCongested || awaitsPage {
            missedPresence = true
            guard case .live = flow else { return false }
            return true
        }
        rosterSeq = presence.to
        guard clientID != presence.onlyAbout else { return false }
        for framed in presence.framed { sink.send(shared: framed) }
        return false
    }

    /// These members of the room are on other nodes; for the others whose claim is `since` or higher this is the claim
    /// now.
    func moved(_ members: Set<ClientID>, since: Int64, claim: Int64) {
        guard self.claim < claim else { return }
        if members.contains(clientID) {
            if !isRemoved { sink.endForTakeover() }
        } else if self.claim >= since {
            self.claim = claim
        }
    }

    // MARK: - Pages

    /// What to ask for now; nil when the client has everything, gets it anyway, or takes nothing. `loop`: the one on
    /// which the subscription lives.
    func startFetch(loop: Int) -> Fetch? {
        guard let seq = needsPage, !sink.isCongested else { return nil }
        lastFetch += 1
        let fetch = Fetch(
            subscription: id, number: lastFetch, loop: loop, clientID: clientID, room: room, roomID: roomID, after: seq,
            rosterSeq: wantsPresence ? rosterSeq : nil)
        flow = .behind(after: seq, fetch: fetch)
        return fetch
    }

    /// False when nobody waits for this answer any more.
    func received(_ page: Delivery.Page) -> Bool {
        guard waits(for: page.fetch) else { return false }
        backoff.reset()
        // A page of members may have taken the client further back than this one begins. And who is leaving is not to
        // read of itself; should it stay after all, it asks again.
        if let presence = page.presence, let known = page.fetch.rosterSeq, known <= rosterSeq, !isLeaving {
            for frame in presence.frames { sink.send(frame) }
            // What was held back before the page came was said before the page was made.
            rosterSeq = max(rosterSeq, presence.to)
            missedPresence = presence.hasMore
        }
        for frame in page.frames { sink.send(frame) }
        flow = page.isAll ? .live(after: page.to) : .behind(after: page.to, fetch: nil)
        return true
    }

    /// False when nobody waits for this answer any more.
    func received(resetTo seq: Seq, rosterSeq: Int64, _ frame: ByteBuffer, for fetch: Fetch) -> Bool {
        guard waits(for: fetch) else { return false }
        sink.send(frame)
        // The frame may be older than what the client has heard of the roster meanwhile; the next page makes up for
        // that.
        resume(after: seq, rosterSeq: rosterSeq)
        return true
    }

    /// The page could not be read. False when nobody waits for it any more.
    func failed(_ fetch: Fetch) -> Bool {
        guard waits(for: fetch) else { return false }
        flow = .behind(after: seen, fetch: nil)
        return true
    }

    private var awaitsPage: Bool {
        if case .behind(_, .some) = flow { true } else { false }
    }

    private func waits(for fetch: Fetch) -> Bool {
        guard case .behind(_, fetch) = flow else { return false }
        return true
    }

    /// After what a page is wanted.
    private var needsPage: Seq? {
        switch flow {
        case .behind(let after, nil): after
        case .live(let after): missedPresence && wantsPresence ? after : nil
        case .suspended, .behind(_, .some): nil
        }
    }
}
