import NIOCore
import ParleyCore

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
        for delivery in home.speak(room, limits: hub.settings.limits, framed: hub.settings.framed) {
            if case .update = delivery { hub.observe(.updated(room)) }
            post(delivery, interest)
        }
    }

    /// Brings a subscription up to what was broadcast, from the recent past. From then on the broadcasts continue it: they
    /// go the same way, behind this. False when only the log has what is missing.
    func sendRecent(_ fetch: Fetch) -> Bool {
        guard let page = residences[fetch.room]?.home?.page(for: fetch, limits: hub.settings.limits) else {
            return false
        }
        hub.post(.page(page), to: fetch.loop)
        return true
    }

    private func post(_ delivery: Delivery, _ interest: [Int]) {
        for (loop, count) in interest.enumerated() where count > 0 { hub.post(delivery, to: loop) }
    }
}
