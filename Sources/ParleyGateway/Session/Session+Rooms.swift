import NIOCore
import ParleyCore
import ParleyHub
import ParleyWire

/// Making rooms, coming and going. Each waits for the store, and the later requests to the same room wait for it.
extension Session {
    func create(_ request: CreateRequest, id: Int64?) {
        var generator = SystemRandomNumberGenerator()
        let room = request.room ?? .random(using: &generator)
        let creation = RoomCreation(
            id: room, ifMissing: request.ifMissing, meta: request.meta, retainMessages: request.retainMessages,
            retainSeconds: request.retainSeconds, rule: request.rule)
        begin(room)
        perform { hub throws(StoreError) in
            try await hub.store.createRoom(creation)
        } then: { session, result in
            switch result {
            case .success(let answer):
                session.sink.send(ServerFrame.createReply(id: id, roomID: room, created: answer.created))
            case .failure(let error):
                session.sendError(error.forClient, id: id, room: room)
            }
            session.finish(room)
        }
    }

    func join(_ request: JoinRequest, id: Int64?) {
        let subscription = seats[request.room]?.subscription
        guard subscription != nil || roomCount(beside: request.room) < settings.limits.rooms else {
            let error = RequestError(.forbidden, "a client can be in \(settings.limits.rooms) rooms; leave one first")
            return sendError(error, id: id, room: request.room)
        }
        begin(request.room)
        seats[request.room]?.isJoining = true
        if let subscription { shard.suspend(subscription) }
        let enrollment = Enrollment(
            room: request.room, session: identity, socket: number, profile: request.profile)
        let want: SnapshotRequest.Want = request.after.map { .after($0) } ?? .recent(request.recent)
        let (loop, isRepeat, endedLate) = (loop, subscription != nil, endedLate)
        perform { hub throws(StoreError) in
            try await hub.join(enrollment, want: want, loop: loop, isRepeat: isRepeat)
        } then: { session, result in
            session.joinEnded(request, id: id, result)
            session.finish(request.room)
        } orElse: { hub, result in
            // The socket ended meanwhile: the membership stays for its grace, but nobody listens here.
            if !isRepeat, case .success(let admission) = result { hub.release(admission.enrolled.room, from: loop) }
            endedLate()
        }
    }

    /// In how many rooms the session is, with those in which it was before this socket and has not joined on it.
    private func roomCount(beside room: RoomID) -> Int {
        seats.values.count(where: \.countsAsRoom)
            + unjoined.keys.count { $0 != room && seats[$0]?.countsAsRoom != true }
    }

    func joinEnded(_ request: JoinRequest, id: Int64?, _ result: Result<Admission, StoreError>) {
        let known = seats[request.room]?.subscription
        seats[request.room]?.isJoining = false
        switch result {
        case .failure(let error):
            sendError(error.forClient, id: id, room: request.room)
            if let known { shard.resumeAfterFailedJoin(known) }
        case .success(let admission):
            let subscription =
                known
                ?? shard.subscribe(
                    clientID: identity.clientID, roomID: request.room, enrolled: admission.enrolled, sink: sink)
            seats[request.room]?.subscription = subscription
            if let profile = request.profile { seats[request.room]?.profile = profile }
            unjoined[request.room] = nil
            subscription.wantsPresence = request.presence
            if known != nil { subscription.rejoined(admission.enrolled) }
            let reply = JoinReply(
                id: id, roomID: request.room, clientID: identity.clientID, admission: admission,
                marks: subscription.marks, presence: request.presence, after: request.after,
                bytesMax: settings.limits.serverFrameBytes)
            sink.send(reply.frame)
            shard.resume(subscription, after: reply.end, rosterSeq: admission.rosterSeq)
        }
    }

    func leave(_ room: RoomID, id: Int64?) {
        guard let subscription = joined(room, id: id) else { return }
        begin(room)
        // The others may hear of it before its own reply is there.
        shard.startLeaving(subscription)
        let withdrawal = Withdrawal(room: subscription.room, session: identity.key, socket: number)
        var isWaiting = true
        subscription.whenIdle { [weak self] in
            guard isWaiting, let self else { return }
            isWaiting = false
            self.leave(room, withdrawal, subscription, id: id)
        }
        guard isWaiting else { return }
        loop.assumeIsolated().scheduleTask(in: settings.patience) { [weak self] in
            guard isWaiting, let self, !self.hasEnded else { return }
            isWaiting = false
            let error = RequestError(.unavailable, "what you sent before takes too long; ask again")
            self.sendError(error, id: id, room: room)
            self.shard.stays(subscription)
            self.finish(room)
        }
    }

    private func leave(_ room: RoomID, _ withdrawal: Withdrawal, _ subscription: Subscription, id: Int64?) {
        var withdrawal = withdrawal
        withdrawal.refused = subscription.marks.refused
        perform { [withdrawal] hub throws(StoreError) in
            try await hub.leave(withdrawal)
        } then: { session, result in
            switch result {
            case .success:
                session.shard.unsubscribe(subscription)
                session.seats[room]?.subscription = nil
                session.sink.send(
                    ServerFrame.leaveReply(id: id, roomID: room, reason: .left, lastID: subscription.marks.lastID))
            case .failure(let error):
                session.sendError(error.forClient, id: id, room: room)
                session.shard.stays(subscription)
            }
            session.finish(room)
        }
    }

    /// The membership was ended from outside. What the client has on its way is taken from the writer first, so that
    /// the `lastId` that it is told is final.
    func membershipEnded(_ subscription: Subscription, by ended: EndedMembership) {
        let room = subscription.roomID
        guard let seat = seats[room], seat.subscription === subscription else { return }
        guard !seat.isBusy else {
            // It may be a join, which makes the client a member anew.
            seats[room]?.ended = ended
            return
        }
        begin(room)
        shard.startLeaving(subscription)
        let place = (subscription.id, subscription.room)
        perform { hub throws(StoreError) in
            await hub.evict([place])
        } then: { session, _ in
            session.shard.unsubscribe(subscription)
            session.seats[room]?.subscription = nil
            session.sink.send(
                ServerFrame.leaveReply(
                    id: nil, roomID: room, reason: ended.clientID == nil ? .closed : .removed,
                    lastID: subscription.marks.lastID))
            session.finish(room)
        }
    }

    /// The request that was under way in a room has ended. True when the membership was ended meanwhile.
    func endsInstead(_ room: RoomID) -> Bool {
        guard let ended = seats[room]?.ended else { return false }
        seats[room]?.ended = nil
        guard let subscription = seats[room]?.subscription, subscription.isEnded(by: ended) else { return false }
        membershipEnded(subscription, by: ended)
        return true
    }

    /// Leaves what the client was in and has not joined anew on this socket. A room with a request under way is passed
    /// over: it may be that join. False when something is left to be done, also because the store did not answer.
    func leaveWhatIsNotJoined(then isDone: @escaping (Bool) -> Void) {
        let rooms = unjoined.filter { seats[$0.key]?.isBusy != true }
        var waiting = rooms.count
        guard waiting > 0 else { return isDone(unjoined.isEmpty) }
        for (room, number) in rooms {
            begin(room)
            let withdrawal = Withdrawal(room: number, session: identity.key, socket: self.number)
            perform { hub throws(StoreError) in
                try await hub.leave(withdrawal)
            } then: { session, result in
                switch result {
                case .success, .failure(.roomNotFound): session.unjoined[room] = nil
                case .failure: break
                }
                session.finish(room)
                waiting -= 1
                if waiting == 0 { isDone(session.unjoined.isEmpty) }
            }
        }
    }
}
