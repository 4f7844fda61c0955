internal import Glibc

/// One command after the other on a connection that is not in pipeline mode, each waited for.
struct Dialogue {
    let link: Link
    let waiting: any Waiting
    let deadline: ContinuousClock.Instant

    /// One command with its rows.
    func query(_ sql: String, _ parameters: [Parameter]) throws(PostgresError) -> Rows {
        guard link.sendUnnamed(sql, parameters) else { throw lost() }
        guard let rows = try answers() else { throw .connectionLost(reason: "no answer") }
        return rows
    }

    /// Any number of commands, in one implicit transaction unless they say otherwise. Their rows are dropped.
    func run(script: String) throws(PostgresError) {
        guard link.sendSimple(script) else { throw lost() }
        _ = try answers()
    }

    /// The last result that has rows, once all is over.
    private func answers() throws(PostgresError) -> Rows? {
        var rows: Rows?
        var error: PostgresError?
        while true {
            try awaitAnswer()
            switch link.nextAnswer() {
            case .rows(let result): rows = Rows(result)
            case .refused(let refusal): error = error ?? refusal.error
            case .broken(let reason): throw .connectionLost(reason: reason)
            case .skipped, .sync: break
            case .endOfCommand:
                if let error { throw error }
                if link.isFailed { throw lost() }
                return rows
            }
        }
    }

    private func awaitAnswer() throws(PostgresError) {
        while true {
            let flushed = link.flush()
            if flushed == .failed { throw lost() }
            if flushed == .all, !link.isBusy { return }
            let events = flushed == .more ? POLLIN | POLLOUT : POLLIN
            switch waiting.wait(socket: link.socket, events: Int16(events), until: deadline) {
            case .ready: break
            case .timedOut: throw .connectionLost(reason: "no answer to the first queries of a connection in time")
            case .stopped: throw .closed
            }
            // What the server said before it went must still be read, so only an answer that is missing fails.
            if !link.consume(), link.isBusy { throw lost() }
        }
    }

    private func lost() -> PostgresError { .connectionLost(reason: link.errorMessage) }
}
