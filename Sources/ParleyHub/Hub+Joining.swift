package import NIOCore
package import ParleyCore
import ParleyWire

/// What a join has found out: enough for its reply, and for what follows it to have no hole.
package struct Admission: Sendable {
    package var enrolled: Enrolled
    package var snapshot: Snapshot
    /// nil when the room has more members than a roster may show.
    package var roster: [Member]?
    /// The place of the roster at which that and the count were seen.
    package var rosterSeq: Int64
    package var count: Int
}

extension Hub {
    /// Makes a session a member and reads the room for it. Afterwards the room has a home here, and counts one more
    /// subscription of `loop` unless `isRepeat`; whoever does not subscribe must call `release`.
    ///
    /// The order of the steps is what makes the join gapless: the home stands before the snapshot is read, so what comes
    /// after the snapshot reaches the home, and the subscription is caught up from the snapshot's end by the home. The same
    /// holds for the roster, from `rosterSeq`.
    package func join(
        _ enrollment: Enrollment, want: SnapshotRequest.Want, loop: any EventLoop, isRepeat: Bool
    ) async throws(StoreError) -> Admission {
        let enrolled = try await store.enroll(enrollment)
        let room = enrolled.room
        if !isRepeat { try await openHome(of: room, id: enrollment.room, for: loop) }
        do {
            if let change = enrolled.change {
                onHome(of: room) { $0.received(change, count: enrolled.count, room: room) }
            }
            let snapshot = try await store.snapshot(
                SnapshotRequest(room: room, want: want, bytesMax: settings.limits.serverFrameBytes))
            try await reach(room, seq: 0, rosterSeq: enrolled.rosterSeq)
            let view = await askHome(of: room) { $0.view(room) } ?? nil
            return Admission(
                enrolled: enrolled, snapshot: snapshot, roster: view?.roster,
                rosterSeq: view?.rosterSeq ?? enrolled.rosterSeq, count: view?.count ?? enrolled.count)
        } catch {
            if !isRepeat { release(room, from: loop) }
            throw error
        }
    }

    /// Undoes what `join` counted, when no subscription came of it.
    package func release(_ room: RoomNumber, from loop: any EventLoop) {
        guard let index = index(of: loop) else { return }
        release(room, loop: index)
    }

    /// Ends memberships: tells the room's home, which tells the others.
    package func leave(_ withdrawal: Withdrawal) async throws(StoreError) {
        let withdrawn = try await store.withdraw(withdrawal)
        guard let change = withdrawn.change else { return }
        onHome(of: withdrawal.room) { $0.received(change, count: withdrawn.count, room: withdrawal.room) }
    }

    /// Nothing that these subscriptions have sent will be applied after this returns, unless it was by then.
    package func evict(_ subscriptions: [(SubscriptionID, RoomNumber)]) async {
        guard !subscriptions.isEmpty else { return }
        await writer.evict(Set(subscriptions.map(\.0)), from: subscriptions.map(\.1))
    }

    /// A page of the roster as this node knows it, sorted by id.
    package func members(
        of room: RoomNumber, after: String?, limit: Int
    ) async -> RosterPage? {
        await askHome(of: room) { $0.membersPage(room, after: after, limit: limit) } ?? nil
    }

    // MARK: - Homes

    private func openHome(of room: RoomNumber, id: RoomID, for loop: any EventLoop) async throws(StoreError) {
        guard let index = index(of: loop) else { throw .unavailable(reason: "the node is shutting down") }
        let result: Result<Void, StoreError> = await withCheckedContinuation { continuation in
            onHome(of: room) { $0.open(room, id: id, for: index, continuation) }
        }
        try result.get()
    }

    /// Reads what a home begins with. Called when the home is known to the feed already.
    func loadHome(of room: RoomNumber, id: RoomID) {
        Task {
            let result: Result<RoomHome.Start, StoreError>
            do throws(StoreError) {
                result = .success(try await start(of: room, id: id))
            } catch {
                result = .failure(error)
            }
            onHome(of: room) { $0.opened(room, result) }
        }
    }

    func start(of room: RoomNumber, id: RoomID) async throws(StoreError) -> RoomHome.Start {
        let snapshot = try await store.snapshot(SnapshotRequest(room: room, want: .recent(0), bytesMax: 1))
        let rosters = try await store.readRosters([RosterCursor(room: room, seq: 0)])
        let roster = rosters.first ?? RosterRead(room: room, seq: 0, count: 0, changes: [])
        return RoomHome.Start(id: id, head: snapshot.head, roster: roster)
    }

    /// Returns when the room's home has broadcast `seq` and knows the roster up to `rosterSeq`.
    func reach(_ room: RoomNumber, seq: Seq, rosterSeq: Int64) async throws(StoreError) {
        let hasReached = await withCheckedContinuation { continuation in
            onHome(of: room) { $0.whenReached(room, seq: seq, rosterSeq: rosterSeq, continuation) }
        }
        guard hasReached else { throw .unavailable(reason: "the room could not be read in time") }
    }

    // MARK: - Catching up

    /// Finds what a subscription is missing: in the home's recent past, else in the log, page by page. If the log no longer
    /// has it, the client gets a fresh copy instead.
    func fetchPage(_ fetch: Fetch) {
        Task {
            do throws(StoreError) {
                try await reach(fetch.room, seq: fetch.after, rosterSeq: 0)
                let isDone = await askHome(of: fetch.room) { $0.sendRecent(fetch) }
                guard isDone != true else { return }
                let reads = try await store.readLog([LogCursor(room: fetch.room, after: fetch.after)])
                guard let page = Delivery.Page(reads.first, for: fetch, limits: settings.limits) else {
                    return try await reset(fetch)
                }
                post(.page(page), to: fetch.loop)
            } catch {
                post(.pageFailed(fetch), to: fetch.loop)
            }
        }
    }

    private func reset(_ fetch: Fetch) async throws(StoreError) {
        var snapshot = try await store.snapshot(
            SnapshotRequest(
                room: fetch.room, want: .recent(Limits.recentDefault), bytesMax: settings.limits.serverFrameBytes / 2))
        snapshot.continuity = .reset
        guard let view = await askHome(of: fetch.room, { $0.view(fetch.room) }) ?? nil else {
            throw .unavailable(reason: "the room has no home any more")
        }
        observe(.clientReset)
        let clients = fetch.rosterSeq == nil ? nil : view.roster
        let frame = ServerFrame.resetJoin(
            roomID: fetch.roomID, count: view.count, clients: clients, snapshot: snapshot)
        post(.reset(fetch, to: snapshot.end.seq, rosterSeq: view.rosterSeq, frame: frame), to: fetch.loop)
    }
}
