import NIOCore
import ParleyCore
import ParleyWire

/// What the homes of this shard say: to all who are in a room, or to one who is behind.
extension HubShard {
    /// Says what there is to say, now or with the next tick. What was said makes room for more.
    func speak(_ residence: Residence, _ home: RoomHome, _ room: RoomNumber) {
        while home.hasNews {
            let decision = home.wantToSpeak(at: .now())
            if case .after(let time) = decision { scheduleTick(room, in: time) }
            guard case .now = decision else { break }
            flush(home, room, residence.interest)
        }
        readWhatIsMissing(home, room)
        residence.reached(seq: home.flushed.seq, rosterSeq: home.roster.seq)
    }

    private func scheduleTick(_ room: RoomNumber, in time: TimeAmount) {
        let (beat, isNew) = ticks.add(room, due: .now() + time)
        guard isNew else { return }
        loop.assumeIsolated().scheduleTask(deadline: beat) { [weak self] in self?.tick(beat) }
    }

    private func tick(_ beat: NIODeadline) {
        for room in ticks.take(beat) {
            guard let residence = residences[room], let home = residence.home else { continue }
            home.tickIsDue(at: beat)
            flush(home, room, residence.interest)
            speak(residence, home, room)
        }
    }

    private func flush(_ home: RoomHome, _ room: RoomNumber, _ interest: [Int]) {
        if home.roster.hasNews { flushPresence(home, room, interest) }
        let signals = home.takeSignals()
        if !signals.isEmpty {
            let frame = ServerFrame.signals(roomID: home.id, signals)
            post(.signals(room, framed: hub.settings.framed(frame)), interest)
        }
        guard let update = home.takeUpdate(bytesMax: hub.settings.updateBytesMax), let first = update.runs.first
        else { return }
        hub.observe(.updated)
        let frame = ServerFrame.update(roomID: home.id, runs: update.runs, position: update.end)
        post(.update(room, from: first.from, to: update.end.seq, framed: hub.settings.framed(frame)), interest)
    }

    private func flushPresence(_ home: RoomHome, _ room: RoomNumber, _ interest: [Int]) {
        let frames = PresenceFrames(home, limits: hub.settings.limits)
        let news = home.takeNews(bytesMax: frames.bytesMax)
        let presence = Delivery.Presence(
            room: room, from: news.from, to: news.to, onlyAbout: news.onlyClient,
            framed: frames.telling(news).map(hub.settings.framed))
        post(.presence(presence), interest)
    }

    /// Brings a subscription up to what was broadcast, from the recent past. From then on the broadcasts continue it: they
    /// go the same way, behind this. False when only the log has what is missing.
    func sendRecent(_ fetch: Fetch) -> Bool {
        guard let home = residences[fetch.room]?.home, home.flushed.seq >= fetch.after,
            let runs = home.broadcast(after: fetch.after)
        else { return false }
        var page = Delivery.Page(fetch: fetch, to: home.flushed.seq, isAll: true, frames: [])
        page.rosterSeq = fetch.rosterSeq
        if let rosterSeq = fetch.rosterSeq, rosterSeq < home.roster.told {
            let frames = PresenceFrames(home, limits: hub.settings.limits)
            let news = home.roster.news(after: rosterSeq, bytesMax: frames.bytesMax)
            page.rosterSeq = news.to
            page.hasMorePresence = news.hasMore
            if news.onlyClient != fetch.clientID { page.frames = frames.telling(news) }
        }
        if !runs.isEmpty {
            page.frames.append(ServerFrame.update(roomID: home.id, runs: runs, position: home.flushed))
        }
        hub.post(.page(page), to: fetch.loop)
        return true
    }

    private func post(_ delivery: Delivery, _ interest: [Int]) {
        for (loop, count) in interest.enumerated() where count > 0 { hub.post(delivery, to: loop) }
    }
}
