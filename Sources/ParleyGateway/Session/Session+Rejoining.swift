import NIOCore
import ParleyCore
import ParleyHub
import ParleyWire

/// Taking up the rooms again after the database has gone on with another timeline. The client notices nothing, unless
/// what it was told of a room is not there: then it gets a fresh copy with `diverged`.
extension Session {
    /// Before a room is asked for again that could not be read.
    private static let rejoinBackoff = Backoff(first: .milliseconds(500), max: .seconds(4))

    /// Requests to rooms wait, and so do their updates. A request that is under way ends first.
    func suspendRooms() {
        for (room, seat) in seats where seat.countsAsRoom {
            if seat.isBusy {
                seats[room]?.isToRejoin = true
            } else {
                suspend(room)
            }
        }
    }

    /// To be called when `hub.beginAnew` was.
    func rejoinRooms() {
        // One that is to be rejoined when what is under way has ended, a rejoin perhaps, has its turn then.
        for (room, seat) in seats where seat.isRejoining && !seat.isToRejoin { rejoin(room) }
    }

    private func suspend(_ room: RoomID) {
        begin(room)
        seats[room]?.isToRejoin = false
        seats[room]?.isRejoining = true
        if let subscription = seats[room]?.subscription { shard.suspend(subscription) }
    }

    /// The request that was under way in a room has ended. True when the room is to be taken up again before the next.
    func rejoinsInstead(_ room: RoomID) -> Bool {
        guard seats[room]?.isToRejoin == true, seats[room]?.subscription != nil else { return false }
        suspend(room)
        rejoin(room)
        return true
    }

    private func rejoin(_ room: RoomID, backoff: Backoff = rejoinBackoff) {
        guard let seat = seats[room], let subscription = seat.subscription else { return }
        let enrollment = Enrollment(room: room, session: identity, socket: number, profile: seat.profile)
        let (number, seq) = (subscription.room, subscription.seen)
        perform { hub throws(StoreError) in
            try await hub.rejoin(enrollment, room: number, after: seq)
        } then: { session, result in
            session.rejoined(room, subscription, after: seq, result, backoff)
        }
    }

    private func rejoined(
        _ room: RoomID, _ subscription: Subscription, after seq: Seq, _ result: Result<Admission, StoreError>,
        _ backoff: Backoff
    ) {
        switch result {
        case .success(let admission):
            seats[room]?.isRejoining = false
            shard.enrolledAnew(subscription, admission.enrolled)
            switch admission.snapshot.continuity {
            case .continues: shard.resume(subscription, after: seq, rosterSeq: 0)
            case .reset, .diverged:
                sink.send(
                    ServerFrame.resetJoin(
                        roomID: room, count: admission.count,
                        clients: subscription.wantsPresence ? admission.roster : nil, snapshot: admission.snapshot))
                shard.resume(subscription, after: admission.snapshot.end.seq, rosterSeq: admission.rosterSeq)
            }
            finish(room)
        case .failure(.unavailable):
            var backoff = backoff
            var generator = SystemRandomNumberGenerator()
            let pause = backoff.next(using: &generator)
            loop.assumeIsolated().scheduleTask(in: TimeAmount(pause)) { [weak self, backoff] in
                self?.rejoin(room, backoff: backoff)
            }
        case .failure:
            // The room was made in what is lost. The client comes back and finds that it is not there.
            sink.endForRestart()
        }
    }
}
