internal import Logging
internal import ParleyCore

/// Appends batches on one connection, one at a time, and knows of each what became of it.
final class LogWriter: Sendable {
    let seat: WriterSeat
    private let announcer: Announcer
    let configuration: StoreConfiguration
    let logger: Logger
    let slowRules: SlowRules
    /// On a way where one room is written at a time, and nobody waits for it.
    let isApart: Bool
    /// Hears of members that SQL has removed.
    private let onRemoved: @Sendable ([EndedMembership]) -> Void

    /// Attempts that end at once without effect: conflicts with other transactions, changes of the connection.
    private static let attemptsMax = 8
    private static let readBackBackoff = Backoff(first: .milliseconds(100), max: .seconds(1))

    /// What one transaction did.
    enum Effect {
        /// nil for rooms of which the transaction says nothing.
        case done([AppendOutcome?])
        /// A foreign transaction holds one of the rooms, or more than rooms.
        case lockedOut
        /// Their rules took too long, or nobody knows whether they did.
        case overdue
        case unfit(reason: String)
    }

    init(
        seat: WriterSeat, isApart: Bool, slowRules: SlowRules, configuration: StoreConfiguration, logger: Logger,
        onRemoved: @escaping @Sendable ([EndedMembership]) -> Void
    ) {
        self.seat = seat
        self.announcer = Announcer(connection: seat.connection, isOn: configuration.announce)
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
        case .slow: return appends.map { _ in .locked }
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
            case .unfit(let reason): return try await halve(appends, because: reason)
            case .overdue: return overdue(appends)
            case .lockedOut: continue
            }
        }
        throw .unavailable(reason: "another transaction holds a table of Parley")
    }

    /// Finds the room whose data cannot be stored. Once a half is applied the other must have outcomes too: what
    /// cannot be tried now is left for another time.
    private func halve(_ appends: [Append], because reason: String) async throws(StoreError) -> [AppendOutcome] {
        guard appends.count > 1 else { return [.invalid(reason: reason)] }
        let middle = appends.count / 2
        let first = try await append(Array(appends[..<middle]))
        let second = Array(appends[middle...])
        do throws(StoreError) {
            return first + (try await append(second))
        } catch {
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

    /// In a task of its own, as `resolve`.
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

    // MARK: One transaction

    private func commit(_ appends: [Append], skipLocked: Bool) async throws(StoreError) -> Effect {
        let deadline = ContinuousClock.now + configuration.requestTimeout
        let areRuled = appends.contains(where: \.isRuled)
        var attempts = 0
        var losses = 0
        var registration: NodeRows?
        while true {
            attempts += 1
            let term: WriterSeat.Term
            do throws(PostgresError) {
                term = try await seat.take(until: deadline)
            } catch {
                throw .unavailable(reason: "\(error)")
            }
            // Declared dead meanwhile: others may have seen its members leave, so what they had sent here is void.
            guard term.node == registration ?? term.node else {
                throw .unavailable(reason: "this node was declared dead")
            }
            registration = term.node
            announcer.sayAgain(generation: term.generation)
            let batch = term.lastBatch + 1
            do throws(PostgresError) {
                if let outcomes = try await execute(appends, as: batch, in: term, skipLocked: skipLocked) {
                    seat.committed(batch, in: term)
                    announce(batch, outcomes, appends, in: term)
                    return .done(outcomes)
                }
                try await seat.fenced(term)
            } catch {
                switch error {
                case .server:
                    if error.isLockTimeout { return .lockedOut }
                    if error.isOverdue, areRuled { return .overdue }
                    if error.isAboutTheData { return .unfit(reason: "\(error)") }
                    if error.isAboutTheSession { seat.connection.reconnect() }
                    guard error.isConflict, attempts < Self.attemptsMax else { throw .unavailable(reason: "\(error)") }
                case .connectionLost:
                    seat.leave(term)
                    if let outcomes = try await resolve(batch, of: appends, in: term) {
                        // Committed, and its chunk is not in the log any more.
                        return .done(skipLocked ? outcomes : outcomes.map { $0 ?? .appliedUnseen })
                    }
                    losses += 1
                    if areRuled, let end = try await endAfterLoss(losses, of: appends) { return end }
                case .unavailable:
                    // It was not sent because the connection is another one now, or there is none.
                    guard seat.connection.generation != term.generation, attempts < Self.attemptsMax else {
                        throw .unavailable(reason: "\(error)")
                    }
                case .timedOut, .closed, .cancelled, .fatal:
                    if case .timedOut = error, areRuled, !isApart { return .overdue }
                    throw .unavailable(reason: "\(error)")
                }
            }
            guard attempts < Self.attemptsMax else {
                throw .unavailable(reason: "this batch was turned away \(attempts) times")
            }
        }
    }

    /// nil when the writer was fenced. All of the appends are of one kind.
    private func execute(
        _ appends: [Append], as batch: Int64, in term: WriterSeat.Term, skipLocked: Bool
    ) async throws(PostgresError) -> [AppendOutcome?]? {
        guard appends.first?.judged == nil else {
            let judgement = (
                JudgedStatement.statement,
                JudgedStatement.parameters(
                    appends, term: term, batch: batch, lease: configuration.lease, skipLocked: skipLocked,
                    valuesBytesMax: configuration.valuesBytesMax)
            )
            guard appends.contains(where: \.isRuled) else {
                return JudgedStatement.outcomes(
                    try await seat.connection.execute(
                        judgement.0, judgement.1, timeout: configuration.requestTimeout,
                        onlyGeneration: term.generation),
                    of: appends)
            }
            let rows = try await judge(judgement, appends, in: term, skipLocked: skipLocked)
            noteSlowRules(JudgedStatement.ruleTimes(rows, of: appends))
            return JudgedStatement.outcomes(rows, of: appends)
        }
        let rows = try await seat.connection.execute(
            skipLocked ? AppendStatement.skipping : AppendStatement.waiting,
            AppendStatement.parameters(appends, term: term, batch: batch, lease: configuration.lease),
            timeout: configuration.requestTimeout, onlyGeneration: term.generation)
        return AppendStatement.outcomes(rows, of: appends)
    }

    /// The connection was lost before the answer came. nil when the batch was not committed and never will be.
    ///
    /// In a task of its own, which the cancellation of the caller does not reach.
    private func resolve(
        _ batch: Int64, of appends: [Append], in past: WriterSeat.Term
    ) async throws(StoreError) -> [AppendOutcome?]? {
        logger.warning("a batch's answer was lost", metadata: ["writer": "\(past.writer)", "batch": "\(batch)"])
        let task = Task { () -> Result<[AppendOutcome?]?, PostgresError> in
            do throws(PostgresError) {
                return .success(try await self.learn(batch, of: appends, in: past))
            } catch {
                return .failure(error)
            }
        }
        switch await task.value {
        case .success(let outcomes): return outcomes
        case .failure(let error):
            // The store was closed: whether it was applied, the next node that takes these sessions over will read.
            throw .unavailable(reason: "the outcome of a batch is not known: \(error)")
        }
    }

    private func learn(
        _ batch: Int64, of appends: [Append], in past: WriterSeat.Term
    ) async throws(PostgresError) -> [AppendOutcome?]? {
        var backoff = Self.readBackBackoff
        var generator = SystemRandomNumberGenerator()
        while true {
            let term = try await seat.takeHoweverLong()
            let isOtherRow = term.writer != past.writer
            if !isOtherRow, term.lastBatch < batch { return nil }
            do throws(PostgresError) {
                let rows = try await seat.connection.execute(
                    ReadBackStatement.statement, ReadBackStatement.parameters(appends),
                    onlyGeneration: term.generation)
                let findings = ReadBackStatement.findings(rows, of: appends)
                // Without the row only the log can tell.
                if isOtherRow, findings.allSatisfy({ $0.base == nil }) { return nil }
                announce(findings, batch, appends, in: term)
                return zip(findings, appends).map(Self.outcome)
            } catch {
                switch error {
                case .closed, .cancelled, .fatal: throw error
                case .server, .unavailable, .connectionLost, .timedOut: break
                }
            }
            do { try await Task.sleep(for: backoff.next(using: &generator)) } catch { throw .cancelled }
        }
    }

    /// Of a room in a batch that was committed; nil when the log has no such chunk.
    private static func outcome(_ finding: ReadBackStatement.Finding, of append: Append) -> AppendOutcome? {
        guard let room = finding.room else { return .gone }
        if let inputs = append.judged {
            // Without a chunk nothing was applied: to be judged again does no harm, and tells the true values.
            guard let base = finding.base else {
                return room.claim == append.claim ? .locked : .moved(claim: room.claim, members: [])
            }
            var written = Run(from: 1, to: 1, tag: 0, body: finding.body ?? []).changes[...]
            // In their order; of one that was refused it is not known any more why.
            let verdicts = inputs.map { input -> Verdict in
                if let change = written.first, change == input.change {
                    written.removeFirst()
                    return .accepted
                }
                guard append.isRuled else { return .conflict(.none) }
                guard let change = written.first, !ChangeHead.start(of: change).isEmpty,
                    ChangeHead.start(of: change) == ChangeHead.start(of: input.change)
                else {
                    return .refused(reason: "the room's rule refused it, or something that it depends on")
                }
                written.removeFirst()
                return .rewritten(change)
            }
            return .judged(base: base, verdicts: verdicts)
        }
        if let base = finding.base { return .applied(base: base) }
        return room.claim != append.claim ? .moved(claim: room.claim, members: []) : nil
    }

    // MARK: Hints

    private func announce(
        _ batch: Int64, _ outcomes: [AppendOutcome?], _ appends: [Append], in term: WriterSeat.Term
    ) {
        var pointers: [RoomPointer] = []
        pointers.reserveCapacity(appends.count)
        for (outcome, append) in zip(outcomes, appends) {
            switch outcome {
            case .applied(let base):
                pointers.append(RoomPointer(room: append.room, lastSeq: base + Seq(append.count)))
            case .judged(let base, let verdicts):
                let count = verdicts.count(where: \.isAccepted)
                if count > 0 { pointers.append(RoomPointer(room: append.room, lastSeq: base + Seq(count))) }
            case .appliedUnseen, .moved, .locked, .gone, .invalid, nil: break
            }
        }
        announcer.say(
            Announcement(writer: term.writer, batch: batch, pointers: pointers), generation: term.generation)
    }

    private func announce(
        _ findings: [ReadBackStatement.Finding], _ batch: Int64, _ appends: [Append], in term: WriterSeat.Term
    ) {
        let pointers = zip(findings, appends).compactMap { finding, append in
            finding.room.map { RoomPointer(room: append.room, lastSeq: $0.lastSeq) }
        }
        announcer.say(
            Announcement(writer: term.writer, batch: batch, pointers: pointers), generation: term.generation)
    }

    private static let existingStatement = Statement(
        name: "existing-rooms",
        sql: "SELECT room_no FROM parley.room WHERE room_no = ANY ($1::int8[]) AND closed_at IS NULL")
}
