internal import Logging
internal import ParleyCore

/// Appends batches on one connection, one at a time, and knows of each what became of it.
final class LogWriter: Sendable {
    let seat: WriterSeat
    let announcer: Announcer
    let lockWait: LockWait
    let configuration: StoreConfiguration
    let logger: Logger
    let slowRules: SlowRules
    /// On a way where one room is written at a time: those that go it wait for each other, and no others for them.
    let isApart: Bool
    /// Hears of members that SQL has removed.
    private let onRemoved: @Sendable ([EndedMembership]) -> Void

    init(
        seat: WriterSeat, isApart: Bool, slowRules: SlowRules, configuration: StoreConfiguration, logger: Logger,
        onRemoved: @escaping @Sendable ([EndedMembership]) -> Void
    ) {
        self.seat = seat
        self.announcer = Announcer(connection: seat.connection, isOn: configuration.announce)
        let lockTimeout = isApart ? configuration.lockTimeoutApart : configuration.lockTimeout
        self.lockWait = LockWait(
            seat.connection, min: isApart ? lockTimeout : configuration.lockTimeoutMin, configured: lockTimeout)
        self.configuration = configuration
        self.logger = logger
        self.slowRules = slowRules
        self.isApart = isApart
        self.onRemoved = onRemoved
    }

    /// Each room at most once. One call at a time. Throws only when nothing was done.
    ///
    /// - Parameter waits: for rooms that somebody holds, up to the connection's `lock_timeout`.
    func append(_ appends: [Append], waits: Bool = true) async throws(StoreError) -> [AppendOutcome] {
        precondition(Set(appends.map(\.room)).count == appends.count, "a room is in a batch more than once")
        guard !appends.isEmpty else { return [] }
        guard appends.contains(where: { $0.judged != nil }) else {
            return try await appendAlike(appends, waits: waits)
        }
        let kinds = Dictionary(grouping: appends, by: kind)
        guard kinds.count == 1, let kind = kinds.keys.first else { return try await append(kinds, inOrderOf: appends) }
        switch kind {
        case .plain, .judged: return try await appendAlike(appends, waits: waits)
        case .slow: return appends.map { _ in .slow }
        case .ruled: return try await appendRuled(appends, waits: waits)
        }
    }

    /// What one statement writes.
    func appendAlike(_ appends: [Append], waits: Bool) async throws(StoreError) -> [AppendOutcome] {
        for skipLocked in waits ? [false, true] : [true] {
            switch try await commit(appends, skipLocked: skipLocked) {
            case .done(let outcomes):
                let told =
                    skipLocked ? await tellLockedFromGone(outcomes, appends) : outcomes.map { $0 ?? .gone }
                return await tellWhoMoved(told, appends)
            case .unfit(let reason): return try await halve(appends, waits: waits, because: reason)
            case .overdue: return overdue(appends)
            case .lockedOut: continue
            }
        }
        throw .unavailable(reason: "another transaction holds a table of Parley")
    }

    /// Finds the room whose data cannot be stored. Once a half is applied the other must have outcomes too: what
    /// cannot be tried now is left for another time.
    private func halve(
        _ appends: [Append], waits: Bool, because reason: String
    ) async throws(StoreError) -> [AppendOutcome] {
        guard appends.count > 1 else { return appends.map { outcome(ofUnfit: $0, because: reason) } }
        let middle = appends.count / 2
        let first = try await appendAlike(Array(appends[..<middle]), waits: waits)
        let second = Array(appends[middle...])
        do throws(StoreError) {
            return first + (try await appendAlike(second, waits: waits))
        } catch {
            logger.warning("half of a batch is left for later", metadata: ["error": "\(error)"])
            return first + second.map { _ in .locked }
        }
    }

    private func tellLockedFromGone(_ outcomes: [AppendOutcome?], _ appends: [Append]) async -> [AppendOutcome] {
        let missing = zip(outcomes, appends).filter { $0.0 == nil }.map(\.1.room)
        guard !missing.isEmpty else { return outcomes.compactMap { $0 } }
        var there = Set(missing)
        do throws(PostgresError) {
            let rows = try await seat.connection.execute(
                Self.existingStatement, [.int8Array(missing.map(\.value))])
            there = Set(rows.map { RoomNumber($0.int8(0)) })
        } catch {
            // Then they count as locked; whoever appends to them again hears that they are gone.
            logger.debug("could not look for locked rooms", metadata: ["error": "\(error)"])
        }
        return zip(outcomes, appends).map { $0 ?? (there.contains($1.room) ? .locked : .gone) }
    }

    /// In a task of its own, which the cancellation of the caller does not reach: the rest of the batch is written.
    private func tellWhoMoved(_ outcomes: [AppendOutcome], _ appends: [Append]) async -> [AppendOutcome] {
        let moved = outcomes.indices.filter { index in
            if case .moved = outcomes[index] { true } else { false }
        }
        guard !moved.isEmpty, let node = seat.node else { return outcomes }
        let refused = moved.map { appends[$0] }
        let answers = Task { () -> [AppendOutcome] in
            do throws(PostgresError) {
                let rows = try await self.seat.connection.execute(
                    MovedStatement.statement, MovedStatement.parameters(node: node, refused))
                let found = MovedStatement.outcomes(rows, of: refused)
                // Before the outcome: whoever is told of it must know that these have not gone to another node.
                if !found.removed.isEmpty { self.onRemoved(found.removed) }
                return found.outcomes
            } catch {
                // Then they count as locked: whoever appends to them again hears of the move.
                self.logger.debug("could not look for members that moved", metadata: ["error": "\(error)"])
                return refused.map { _ in .locked }
            }
        }
        var told = outcomes
        for (index, answer) in zip(moved, await answers.value) { told[index] = answer }
        return told
    }

    private static let existingStatement = Statement(
        name: "existing-rooms",
        sql: "SELECT room_no FROM parley.room WHERE room_no = ANY ($1::int8[]) AND closed_at IS NULL")
}
