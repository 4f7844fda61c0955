extension MemberDesk {
    private static let attemptsMax = 8

    /// Executes one numbered batch, again and again while that may help: all that this desk does may be done twice.
    ///
    /// - Parameter reading: nil when the writer was fenced.
    /// - Returns: Also whether an earlier attempt may have been done, its answer lost.
    func attempt<Answer>(
        _ statement: Statement, until deadline: ContinuousClock.Instant,
        with parameters: (WriterSeat.Term) -> [Parameter],
        reading: (Rows) -> Answer?
    ) async throws(PostgresError) -> (answer: Answer, term: WriterSeat.Term, mayBeDone: Bool) {
        var attempts = 0
        var mayBeDone = false
        while true {
            attempts += 1
            let term = try await seat.take(until: deadline)
            announcer.sayAgain(generation: term.generation)
            do throws(PostgresError) {
                let rows = try await seat.connection.execute(
                    statement, parameters(term), onlyGeneration: term.generation)
                if let answer = reading(rows) { return (answer, term, mayBeDone) }
                try await seat.fenced(term)
            } catch {
                switch error {
                case .server: guard error.isConflict else { throw error }
                case .connectionLost:
                    seat.leave(term)
                    mayBeDone = true
                case .unavailable: guard seat.connection.generation != term.generation else { throw error }
                case .timedOut, .closed, .cancelled, .fatal: throw error
                }
                guard attempts < Self.attemptsMax, ContinuousClock.now < deadline else { throw error }
            }
            guard attempts < Self.attemptsMax else {
                throw .unavailable(reason: "this batch was turned away \(attempts) times")
            }
        }
    }
}
