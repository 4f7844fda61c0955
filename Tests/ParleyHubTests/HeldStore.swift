import NIOConcurrencyHelpers
import ParleyCore
import ParleyMemory

/// Rooms in memory behind a door: while it is held, each append waits for the test to say what comes of it.
final class HeldStore: RoomStore {
    enum Answer: Sendable {
        /// Let the rooms have it.
        case apply
        /// Let the rooms have it, and say something else.
        case applyAndSay([AppendOutcome])
        case say([AppendOutcome])
        case fail(StoreError)
    }

    /// An append that waits for its answer.
    struct Held: Sendable {
        let appends: [Append]
        let isApart: Bool
        let waits: Bool
        private let continuation: NIOLockedValueBox<CheckedContinuation<Answer, Never>?>

        init(
            appends: [Append], isApart: Bool, waits: Bool, continuation: CheckedContinuation<Answer, Never>
        ) {
            self.appends = appends
            self.isApart = isApart
            self.waits = waits
            self.continuation = NIOLockedValueBox(continuation)
        }

        /// The first answer counts.
        func answer(_ answer: Answer) {
            let waiting = continuation.withLockedValue { continuation in
                defer { continuation = nil }
                return continuation
            }
            waiting?.resume(returning: answer)
        }

        var bodies: [String] { appends.map { String(decoding: $0.body, as: UTF8.self) } }
    }

    private struct Door {
        var isHeld = false
        /// How many of `held` the test has taken, or were let pass when the door opened.
        var taken = 0
    }

    private let rooms = MemoryRoomStore()
    private let door = NIOLockedValueBox(Door())
    private let failures = NIOLockedValueBox(0)
    private let logFailures = NIOLockedValueBox(0)
    private let rosterFailures = NIOLockedValueBox(0)
    /// How often a read has failed.
    let failed = Journal<Void>()
    /// The bytes that each read of the log found.
    let logReads = Journal<Int>()
    private let held = Journal<Held>()
    /// What was given to the rooms, batch by batch.
    let batches = Journal<[Append]>()

    func hold() { door.withLockedValue { $0.isHeld = true } }

    /// Lets everything pass from now on, also what the test has taken and not answered.
    func release() {
        let waiting = door.withLockedValue { door in
            door.isHeld = false
            let entries = held.entries
            door.taken = entries.count
            return entries
        }
        for held in waiting { held.answer(.apply) }
    }

    /// The next append that waits.
    func next() async -> Held? {
        let index = door.withLockedValue { door in
            defer { door.taken += 1 }
            return door.taken
        }
        let entries = await held.wait { $0.count > index }
        return entries.count > index ? entries[index] : nil
    }

    var heldCount: Int { door.withLockedValue { held.entries.count - $0.taken } }

    /// So many of the next reads and snapshots fail.
    func failReads(_ count: Int) { failures.withLockedValue { $0 = count } }

    private func wait(_ appends: [Append], isApart: Bool, waits: Bool) async throws(StoreError) -> [AppendOutcome] {
        let answer = await withCheckedContinuation { continuation in
            let isHeld = door.withLockedValue { door in
                if door.isHeld {
                    held.append(
                        Held(appends: appends, isApart: isApart, waits: waits, continuation: continuation))
                }
                return door.isHeld
            }
            if !isHeld { continuation.resume(returning: .apply) }
        }
        switch answer {
        case .apply: return try await apply(appends)
        case .applyAndSay(let outcomes):
            _ = try await apply(appends)
            return outcomes
        case .say(let outcomes): return outcomes
        case .fail(let error): throw error
        }
    }

    private func apply(_ appends: [Append]) async throws(StoreError) -> [AppendOutcome] {
        let outcomes = try await rooms.append(appends)
        batches.append(appends)
        return outcomes
    }

    /// So many of the next reads of the log, or of rosters, fail beside those that fail with all reads.
    func failLogReads(_ count: Int) { logFailures.withLockedValue { $0 = count } }
    func failRosterReads(_ count: Int) { rosterFailures.withLockedValue { $0 = count } }

    private func mayFail() throws(StoreError) { try mayFail(failures) }

    private func mayFail(_ failures: NIOLockedValueBox<Int>) throws(StoreError) {
        let fails = failures.withLockedValue { failures in
            guard failures > 0 else { return false }
            failures -= 1
            return true
        }
        guard fails else { return }
        failed.append(())
        throw .unavailable(reason: "the test said so")
    }

    // MARK: - RoomStore

    func append(_ appends: [Append]) async throws(StoreError) -> [AppendOutcome] {
        try await wait(appends, isApart: false, waits: true)
    }

    func appendApart(_ append: Append, waits: Bool) async throws(StoreError) -> AppendOutcome {
        try await wait([append], isApart: true, waits: waits).first ?? .gone
    }

    /// What was sent to the other nodes.
    let signals = Journal<RoomSignals>()
    func send(_ signals: [RoomSignals]) { for signal in signals { self.signals.append(signal) } }

    func createRoom(_ creation: RoomCreation) async throws(StoreError) -> RoomCreated {
        try await rooms.createRoom(creation)
    }

    func enroll(_ enrollment: Enrollment) async throws(StoreError) -> Enrolled { try await rooms.enroll(enrollment) }

    func withdraw(_ withdrawal: Withdrawal) async throws(StoreError) -> Withdrawn {
        try await rooms.withdraw(withdrawal)
    }

    func snapshot(_ request: SnapshotRequest) async throws(StoreError) -> Snapshot {
        try mayFail()
        return try await rooms.snapshot(request)
    }

    func readLog(_ cursors: [LogCursor]) async throws(StoreError) -> [LogRead] {
        try mayFail()
        try mayFail(logFailures)
        let reads = try await rooms.readLog(cursors)
        logReads.append(reads.flatMap(\.runs).reduce(0) { $0 + $1.body.count })
        return reads
    }

    func readRosters(_ cursors: [RosterCursor]) async throws(StoreError) -> [RosterRead] {
        try mayFail()
        try mayFail(rosterFailures)
        return try await rooms.readRosters(cursors)
    }

    func history(_ request: HistoryRequest) async throws(StoreError) -> HistoryPage { try await rooms.history(request) }

    func takeUp(
        _ session: SessionIdentity, shown: Int64?, openedAt: ContinuousClock.Instant, endedWithin: Duration?,
        isWanted: @escaping @Sendable () -> Bool
    ) async throws(StoreError) -> TakenUp? {
        try await rooms.takeUp(
            session, shown: shown, openedAt: openedAt, endedWithin: endedWithin, isWanted: isWanted)
    }

    func overtaken(_ sockets: [SessionSocket]) async throws(StoreError) -> [SessionTakeUp] {
        try await rooms.overtaken(sockets)
    }

    func lapse(_ sockets: [LostSocket]) async throws(StoreError) -> [LapsedSession] { try await rooms.lapse(sockets) }

    func heads(of numbers: [RoomNumber]) async throws(StoreError) -> [RoomPointer] {
        try await rooms.heads(of: numbers)
    }

    func signingKeys() async throws(StoreError) -> [SigningKey] { try await rooms.signingKeys() }
}
