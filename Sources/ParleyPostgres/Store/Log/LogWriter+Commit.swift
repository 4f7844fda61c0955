internal import ParleyCore

/// One batch, one transaction: tried until it is known what became of it.
extension LogWriter {
    /// What one transaction did.
    enum CommitResult {
        /// nil for rooms of which the transaction says nothing.
        case done([AppendOutcome?])
        /// A foreign transaction holds one of the rooms, or more than rooms.
        case lockedOut
        /// Their rules took too long, or nobody knows whether they did.
        case overdue
        case unfit(reason: String)
    }

    /// Attempts that end at once without effect: conflicts with other transactions, changes of the connection.
    private static let attemptsMax = 8

    func commit(_ appends: [Append], skipLocked: Bool) async throws(StoreError) -> CommitResult {
        let deadline = ContinuousClock.now + configuration.requestTimeout
        let areRuled = appends.contains(where: \.isRuled)
        var attempts = 0
        var losses = 0
        var timeouts = 0
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
                    announcer.say(
                        Announcement(batch, outcomes, of: appends, in: term), generation: term.generation)
                    return .done(outcomes)
                }
                try await seat.fenced(term)
            } catch {
                switch error {
                case .server:
                    if error.isLockTimeout { return .lockedOut }
                    if error.isOverdue, areRuled { return .overdue }
                    if error.isAboutTheData || areRuled && error.isByARule { return .unfit(reason: "\(error)") }
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
                    if case .timedOut = error, areRuled {
                        timeouts += 1
                        // Apart it may have waited for other statements on the connection, but not twice.
                        if !isApart || timeouts > 1 { return .overdue }
                        continue
                    }
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
        guard appends.first?.judged != nil else {
            let rows = try await execute(
                skipLocked ? AppendStatement.skipping : AppendStatement.waiting,
                AppendStatement.parameters(appends, term: term, batch: batch, lease: configuration.lease), in: term)
            return AppendStatement.outcomes(rows, of: appends)
        }
        let parameters = JudgedStatement.parameters(
            appends, term: term, batch: batch, lease: configuration.lease, skipLocked: skipLocked,
            valuesBytesMax: configuration.valuesBytesMax)
        guard appends.contains(where: \.isRuled) else {
            let rows = try await execute(JudgedStatement.statement, parameters, in: term)
            return try JudgedStatement.outcomes(rows, of: appends)
        }
        let rows = try await executeRuled(appends, parameters, in: term, skipLocked: skipLocked)
        noteSlowRules(JudgedStatement.ruleTimes(rows, of: appends))
        return try JudgedStatement.outcomes(rows, of: appends)
    }

    /// One statement that locks rooms: first, when need be, for how long it waits for them.
    private func execute(
        _ statement: Statement, _ parameters: [Parameter], in term: WriterSeat.Term
    ) async throws(PostgresError) -> Rows {
        let change = lockWait.change(in: term.generation)
        let start = ContinuousClock.now
        let answers = try await seat.connection.execute(
            change.steps + [(statement, parameters)], timeout: configuration.requestTimeout,
            onlyGeneration: term.generation)
        lockWait.committed(change, after: .now - start)
        guard let rows = answers.last else { throw .connectionLost(reason: "an answer without a result") }
        return rows
    }
}
