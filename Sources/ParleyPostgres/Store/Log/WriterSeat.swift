internal import Logging
internal import NIOConcurrencyHelpers
internal import ParleyCore

/// The right of one connection to write under one row of `parley.writer`.
///
/// A new connection takes the row over by raising its epoch: that waits for what an older connection has under way,
/// voids whatever it may still deliver later, and tells which batch was the last. So nothing is ever guessed.
final class WriterSeat: Sendable {
    struct Term: Sendable, Equatable {
        var writer: Int64
        var node: NodeRows
        /// Of the connection: a batch is sent on that one or not at all.
        var generation: Int
        var epoch: Int64
        /// The newest batch that is known to be committed. The next one has the number after it.
        var lastBatch: Int64
        /// The connection before this one was given up in the middle of a batch that its backend did not end by itself.
        var endedOlderBackend = false

        func isTheSameTerm(as other: Term) -> Bool { node == other.node && epoch == other.epoch }
    }

    let connection: PostgresConnection
    private let kind: WriterKind
    private let registration: NodeRegistration
    private let configuration: StoreConfiguration
    /// How long an older connection's backend may hold the row before it is ended.
    private let backendPatience: Duration
    private let logger: Logger
    private let term = NIOLockedValueBox<Term?>(nil)

    /// Between attempts to take the row over.
    private static let backoff = Backoff(first: .milliseconds(20), max: .milliseconds(500))
    init(
        kind: WriterKind, connection: PostgresConnection, registration: NodeRegistration,
        configuration: StoreConfiguration, backendPatience: Duration = .seconds(2), logger: Logger
    ) {
        self.kind = kind
        self.connection = connection
        self.registration = registration
        self.configuration = configuration
        self.backendPatience = backendPatience
        self.logger = logger
    }

    /// The number of this node's row; nil before it is registered.
    var node: Int64? { registration.current?.node }

    /// The term of the present connection. Throws when there is none within the timeout, and nothing was written.
    func take(until deadline: ContinuousClock.Instant) async throws(PostgresError) -> Term {
        var backoff = Self.backoff
        var generator = SystemRandomNumberGenerator()
        let start = ContinuousClock.now
        var endedOlderBackend = false
        while true {
            if let term = valid { return term }
            let pause = backoff.next(using: &generator)
            do throws(PostgresError) {
                return try await takeOver(until: deadline, endedOlderBackend: endedOlderBackend)
            } catch {
                switch error {
                case .closed, .cancelled, .fatal: throw error
                case .server, .unavailable, .connectionLost, .timedOut:
                    guard ContinuousClock.now + pause < deadline else { throw error }
                }
                if error.isLockTimeout, ContinuousClock.now - start > backendPatience, await endOlderBackend() {
                    endedOlderBackend = true
                }
            }
            try await wait(pause)
        }
    }

    /// The same for one who must know: only the end of the store ends the wait.
    func takeHoweverLong() async throws(PostgresError) -> Term {
        var backoff = Self.backoff
        var generator = SystemRandomNumberGenerator()
        while true {
            do throws(PostgresError) {
                return try await take(until: .now + configuration.requestTimeout)
            } catch {
                switch error {
                case .closed, .cancelled, .fatal: throw error
                case .server, .unavailable, .connectionLost, .timedOut: try await wait(backoff.next(using: &generator))
                }
            }
        }
    }

    /// The batch after the term's last one is committed.
    func committed(_ batch: Int64, in past: Term) {
        term.withLockedValue { term in
            guard term == past else { return }
            term?.lastBatch = batch
        }
    }

    /// The row no longer takes batches of this term: it was declared dead, or is gone, or another caller has taken it
    /// over on this connection, whose term is the one to go on with.
    func fenced(_ past: Term) async throws(PostgresError) {
        let isOver = term.withLockedValue { term in
            guard term?.isTheSameTerm(as: past) ?? true else { return false }
            term = nil
            return true
        }
        if isOver { try await registration.renew(past.node) }
    }

    /// The answer to what was sent last is lost: the next term will tell.
    func leave(_ past: Term) {
        term.withLockedValue { if $0 == past { $0 = nil } }
    }

    private var valid: Term? {
        guard let term = term.withLockedValue({ $0 }), term.generation == connection.generation,
            term.node == registration.current
        else { return nil }
        return term
    }

    private func takeOver(
        until deadline: ContinuousClock.Instant, endedOlderBackend: Bool
    ) async throws(PostgresError) -> Term {
        let timeLeft = max(.zero, deadline - .now)
        if connection.generation == nil { try await connection.waitUntilConnected(timeout: timeLeft) }
        guard let generation = connection.generation, let node = registration.current,
            let writer = node.writers[kind]
        else { throw .unavailable(reason: "not connected and registered yet") }
        let rows = try await connection.execute(
            Self.takeOverStatement,
            [
                .int8(writer), .milliseconds(configuration.lease), .int8(node.incarnation),
                .bool(connection.isPooled),
            ],
            timeout: max(.zero, deadline - .now), onlyGeneration: generation)
        guard let row = rows.first, row.bool(2) else {
            try await registration.renew(node)
            throw .unavailable(reason: "this node was declared dead and registers anew")
        }
        let new = Term(
            writer: writer, node: node, generation: generation, epoch: row.int8(0), lastBatch: row.int8(1),
            endedOlderBackend: endedOlderBackend)
        // Another caller may have taken the row over meanwhile, and have a higher epoch.
        return term.withLockedValue { term in
            if let other = term, other.node == node, other.generation == generation, other.epoch > new.epoch {
                return other
            }
            term = new
            return new
        }
    }

    /// Whether there was one. Whatever comes of it, the next attempt shows.
    private func endOlderBackend() async -> Bool {
        guard let writer = registration.current?.writers[kind] else { return false }
        do throws(PostgresError) {
            return try await !connection.execute(Self.endOlderBackendStatement, [.int8(writer)]).isEmpty
        } catch {
            logger.debug("could not end an older connection's backend", metadata: ["error": "\(error)"])
            return false
        }
    }

    private func wait(_ pause: Duration) async throws(PostgresError) {
        do { try await Task.sleep(for: pause) } catch { throw .cancelled }
    }

    private static let takeOverStatement = Statement(
        name: "take-over-writer",
        sql: """
            UPDATE parley.writer w
            SET epoch = w.epoch + 1, lease_until = clock_timestamp() + $2::int4 * interval '1 ms',
                backend_pid = CASE WHEN NOT $4::bool THEN pg_backend_pid() END,
                backend_start = CASE WHEN NOT $4::bool THEN (
                    SELECT a.backend_start FROM pg_stat_get_activity(pg_backend_pid()) a) END
            WHERE w.writer_no = $1::int8
            RETURNING w.epoch, w.last_batch, w.incarnation = $3::int8 AND w.dead_at IS NULL
            """)

    /// A role may end the backends of its own; the start tells a backend from a later one with the same pid.
    private static let endOlderBackendStatement = Statement(
        name: "end-older-backend",
        sql: """
            SELECT pg_terminate_backend(a.pid)
            FROM parley.writer w, pg_stat_get_activity(w.backend_pid) a
            WHERE w.writer_no = $1::int8 AND a.backend_start = w.backend_start AND a.pid <> pg_backend_pid()
            """)
}
