internal import Logging
internal import ParleyCore

/// The connection was lost before a batch's answer came: nothing is guessed, the database is asked.
extension LogWriter {
    private static let readBackBackoff = Backoff(first: .milliseconds(100), max: .seconds(1))

    /// The connection was lost before the answer came. nil when the batch was not committed and never will be.
    ///
    /// In a task of its own, which the cancellation of the caller does not reach.
    func resolve(
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
                announcer.say(
                    Announcement(batch, findings, of: appends, in: term), generation: term.generation)
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
}
