import NIOCore
package import ParleyCore

/// When the database goes on with another timeline, after a standby was promoted or a backup restored: what it had
/// committed last may be gone. Everything that is known of rooms is compared with it, or begins anew.
///
/// The sessions suspend their rooms first; then `beginAnew`; then they take each room up again by `rejoin`.
extension Hub {
    /// What waits for the database is given up, for its claims may count no more, and each room gets a new home.
    package func beginAnew() {
        giveUpAll()
        for index in 0..<loopCount { onShard(index) { $0.beginAnew() } }
    }

    /// Gives up what waits for the database: its clients send it again.
    package func giveUpAll() { writer.giveUpAll() }

    /// Makes the session a member again, if it is none any more, and reads what comes after `seq`, up to which its client
    /// was told of the room. Fails with `roomNotFound` when the room is not there, or is another one under the old number.
    package func rejoin(_ enrollment: Enrollment, room: RoomNumber, after seq: Seq) async throws(StoreError)
        -> Admission
    {
        let former = await askHome(of: room) { $0.formerPosition(in: room, at: seq) } ?? nil
        let enrolled = try await store.enroll(enrollment)
        guard enrolled.room == room else { throw .roomNotFound }
        try await homeStands(room)
        if let change = enrolled.change {
            onHome(of: room) { $0.received(change, count: enrolled.count, room: room) }
        }
        let want: SnapshotRequest.Want = former.map { .after(.position($0)) } ?? .recent(Limits.recentDefault)
        var snapshot = try await store.snapshot(
            SnapshotRequest(room: room, want: want, bytesMax: settings.limits.serverFrameBytes / 2))
        // Without the tag nothing is proved: a fresh copy is right in any case.
        if former == nil { snapshot.continuity = .diverged }
        try await reach(room, seq: 0, rosterSeq: enrolled.rosterSeq)
        let view = await askHome(of: room) { $0.view(room) } ?? nil
        return Admission(
            enrolled: enrolled, snapshot: snapshot, roster: view?.roster,
            rosterSeq: view?.rosterSeq ?? enrolled.rosterSeq, count: view?.count ?? enrolled.count)
    }

    /// As `loadHome`, but for members who are there already: goes on until it is done, or they are gone.
    func loadHomeAgain(of room: RoomNumber, id: RoomID) {
        Task {
            var backoff = settings.backoff
            var generator = SystemRandomNumberGenerator()
            while await askHome(of: room, { $0.isOpening(room) }) == true {
                do throws(StoreError) {
                    let start = try await start(of: room, id: id)
                    return onHome(of: room) { $0.opened(room, .success(start)) }
                } catch .unavailable {
                    do { try await Task.sleep(for: backoff.next(using: &generator)) } catch { return }
                } catch {
                    return onHome(of: room) { $0.opened(room, .failure(error)) }
                }
            }
        }
    }

    private func homeStands(_ room: RoomNumber) async throws(StoreError) {
        let result: Result<Void, StoreError> = await withCheckedContinuation { continuation in
            onHome(of: room) { $0.whenStanding(room, continuation) }
        }
        try result.get()
    }
}
