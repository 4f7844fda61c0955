internal import Logging
internal import ParleyCore

/// Batches are of several kinds; and rules, which are somebody else's code, have a bounded time.
extension LogWriter {
    /// What is written by one statement, in the order in which the statements follow each other.
    enum Kind: Int, Comparable {
        case plain
        case judged
        case ruled
        /// Not to be written on this way.
        case slow

        static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }

    func kind(_ append: Append) -> Kind {
        guard append.isRuled else { return append.judged == nil ? .plain : .judged }
        return !isApart && slowRules.contains(append.room) ? .slow : .ruled
    }

    /// A transaction for each kind. Once the first is done the others must have outcomes too.
    func append(
        _ kinds: [Kind: [Append]], inOrderOf appends: [Append]
    ) async throws(StoreError) -> [AppendOutcome] {
        var outcomes: [RoomNumber: AppendOutcome] = [:]
        for (_, appends) in kinds.sorted(by: { $0.key < $1.key }) {
            do throws(StoreError) {
                outcomes.merge(zip(appends.map(\.room), try await append(appends))) { $1 }
            } catch {
                guard !outcomes.isEmpty else { throw error }
                logger.warning("a part of a batch is left for later", metadata: ["error": "\(error)"])
            }
        }
        return appends.map { outcomes[$0.room] ?? .locked }
    }

    // MARK: Rules

    /// The rules' code runs in this node's session, with a bound that holds even if it does not heed the server's.
    func executeRuled(
        _ appends: [Append], _ parameters: [Parameter], in term: WriterSeat.Term, skipLocked: Bool
    ) async throws(PostgresError) -> Rows {
        let time = ruleTime(for: appends)
        let change = lockWait.change(in: term.generation)
        let prelude = change.steps + JudgedStatement.prelude(appends, time: time, skipLocked: skipLocked)
        let start = ContinuousClock.now
        let answers = try await seat.connection.execute(
            prelude + [(JudgedStatement.statement, parameters)] + seat.connection.settingsRestored,
            timeout: min(configuration.requestTimeout, time + Self.ruleMargin), onlyGeneration: term.generation)
        lockWait.committed(change, after: .now - start)
        lockWait.restored()
        guard answers.count > prelude.count else { throw .connectionLost(reason: "an answer without a result") }
        return answers[prelude.count]
    }

    /// What goes with the rules' own time: a lock on each room, the writing, the commit.
    private static let ruleMargin = Duration.seconds(2)
    /// A connection may be lost without anybody's fault; not so easily as often as this, one after another.
    private static let ruleLossesMax = 2

    /// The connection was lost with rules under way, and nothing of the batch is written. nil when it is to be tried again.
    func endAfterLoss(_ losses: Int, of appends: [Append]) async throws(StoreError) -> CommitResult? {
        let isStuck: Bool
        do throws(PostgresError) {
            isStuck = try await seat.takeHoweverLong().endedOlderBackend
        } catch {
            throw .unavailable(reason: "\(error)")
        }
        if isStuck { return .overdue }
        guard losses >= Self.ruleLossesMax else { return nil }
        guard isApart else { return .overdue }
        for append in appends { slowRules.add(append.room) }
        throw .unavailable(reason: "the connection was lost \(losses) times while the room's rule was asked")
    }

    /// A bounded number of rooms in each transaction, so that a rule that takes long holds few others up.
    func appendRuled(_ appends: [Append], waits: Bool) async throws(StoreError) -> [AppendOutcome] {
        var outcomes: [AppendOutcome] = []
        while outcomes.count < appends.count {
            let part = Array(appends[outcomes.count...].prefix(Self.ruledRoomsMax))
            do throws(StoreError) {
                outcomes += try await appendAlike(part, waits: waits)
            } catch {
                guard !outcomes.isEmpty else { throw error }
                logger.warning("a part of a batch is left for later", metadata: ["error": "\(error)"])
                return outcomes + appends[outcomes.count...].map { _ in .locked }
            }
        }
        return outcomes
    }

    private static let ruledRoomsMax = 32

    /// Nobody knows whose rule it was, unless it was asked alone.
    func overdue(_ appends: [Append]) -> [AppendOutcome] {
        appends.map { append in
            guard isApart else { return .slow }
            slowRules.add(append.room)
            // Whichever of them it was, the others need not be refused with it.
            guard append.count == 1 else { return .tooMuch }
            logger.warning("a room's rule took too long", metadata: ["room": "\(append.room)"])
            return Self.refused(append, because: "the room's rule took longer than \(configuration.ruleTimeMax)")
        }
    }

    /// The transaction of this room alone fails for what is in it.
    func outcome(ofUnfit append: Append, because reason: String) -> AppendOutcome {
        guard append.isRuled else { return .invalid(reason: reason) }
        slowRules.add(append.room)
        guard append.count == 1 else { return .tooMuch }
        logger.warning(
            "what a room's rule did cannot be committed", metadata: ["room": "\(append.room)", "error": "\(reason)"])
        return Self.refused(append, because: "the room's rule failed")
    }

    private static func refused(_ append: Append, because reason: String) -> AppendOutcome {
        .judged(base: 0, verdicts: append.judged?.map { _ in .refused(reason: reason) } ?? [])
    }

    /// What the rules of a statement have together.
    func ruleTime(for appends: [Append]) -> Duration {
        time(isApart ? configuration.ruleTimeMax : configuration.ruleTimeTogether, for: appends)
    }

    private func time(_ base: Duration, for appends: [Append]) -> Duration {
        base + configuration.ruleTimeEach * appends.reduce(0) { $0 + $1.count }
    }

    /// One that takes longer than it may with others is to be asked apart from now on.
    func noteSlowRules(_ times: [(append: Append, time: Duration)]) {
        for (append, time) in times where time > self.time(configuration.ruleTimeTogether, for: [append]) {
            slowRules.add(append.room)
        }
    }
}
