internal import Logging
internal import NIOConcurrencyHelpers
internal import ParleyCore

/// What a connection writes: each has a row of its own in `parley.writer`.
enum WriterKind: String, CaseIterable {
    case log
    case apart
    case roster
}

/// The rows by which the cluster knows this process.
struct NodeRows: Sendable, Equatable {
    var node: Int64
    var incarnation: Int64
    var writers: [WriterKind: Int64]
}

/// Registers this process, and registers it anew when it was declared dead.
actor NodeRegistration {
    private let connection: PostgresConnection
    private let configuration: StoreConfiguration
    private let logger: Logger
    private nonisolated let rows = NIOLockedValueBox<NodeRows?>(nil)
    private nonisolated let deathWatcher = Watcher<Void>()
    private var renewal: (seen: NodeRows, task: Task<Void, any Error>)?

    init(connection: PostgresConnection, configuration: StoreConfiguration, logger: Logger) {
        self.connection = connection
        self.configuration = configuration
        self.logger = logger
    }

    /// nil until `register` has succeeded.
    nonisolated var current: NodeRows? { rows.withLockedValue { $0 } }

    /// A lost answer leaves rows that nobody uses; their lease ends by itself.
    func register() async throws(PostgresError) {
        let answer = try await connection.execute(
            Self.registerStatement,
            [
                .text(configuration.nodeName), .text(configuration.nodeAddress), .text(configuration.version),
                .milliseconds(configuration.lease), .milliseconds(configuration.grace),
            ])
        guard let new = Self.rows(answer) else { throw .connectionLost(reason: "an answer without rows") }
        rows.withLockedValue { $0 = new }
    }

    /// `watcher` is told each time that this process turns out to have been declared dead, before it registers anew.
    nonisolated func onDeath(_ watcher: @escaping @Sendable () -> Void) {
        deathWatcher.become(watcher)
    }

    /// The database goes on with another timeline, where the numbers may be nobody's, or somebody else's. Returns when the
    /// node is registered anew, or the connection closed.
    func startAnew() async {
        rows.withLockedValue { $0 = nil }
        var backoff = Backoff(first: configuration.connection.backoffFirst, max: configuration.connection.backoffMax)
        var generator = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            do throws(PostgresError) {
                return try await register()
            } catch {
                switch error {
                case .closed, .cancelled, .fatal: return
                case .server, .unavailable, .connectionLost, .timedOut: break
                }
                logger.debug("could not register anew", metadata: ["error": "\(error)"])
            }
            do { try await Task.sleep(for: backoff.next(using: &generator)) } catch { return }
        }
    }

    /// The node was declared dead, or its rows are gone. Does nothing when that has been repaired since `seen`.
    func renew(_ seen: NodeRows) async throws(PostgresError) {
        guard current == seen else { return }
        // All who have found it out wait for the one who repairs it: each renewal would fence the one before.
        let task: Task<Void, any Error>
        if let renewal, renewal.seen == seen {
            task = renewal.task
        } else {
            task = Task { try await self.registerAnew(seen) }
            renewal = (seen, task)
        }
        do {
            try await task.value
        } catch {
            if renewal?.task == task { renewal = nil }
            throw error as? PostgresError ?? .cancelled
        }
    }

    private func registerAnew(_ seen: NodeRows) async throws {
        logger.error(
            "this node was declared dead by another one; it registers anew",
            metadata: ["node": "\(seen.node)", "incarnation": "\(seen.incarnation)"])
        deathWatcher.tell(())
        let answer = try await connection.execute(
            Self.renewStatement, [.int8(seen.node), .milliseconds(configuration.lease)])
        if let new = Self.rows(answer), new.writers.count == WriterKind.allCases.count {
            rows.withLockedValue { $0 = new }
        } else {
            try await register()
        }
    }

    /// So that nobody waits for the lease to end. Best effort.
    func resign() async {
        guard let rows = current else { return }
        do throws(PostgresError) {
            try await connection.execute(Self.resignStatement, [.int8(rows.node)])
        } catch {
            logger.info("could not sign off; the lease will end by itself", metadata: ["error": "\(error)"])
        }
    }

    private static func rows(_ answer: Rows) -> NodeRows? {
        guard let first = answer.first else { return nil }
        var rows = NodeRows(node: first.int8(0), incarnation: first.int8(1), writers: [:])
        for row in answer {
            if let kind = WriterKind(rawValue: row.text(3)) { rows.writers[kind] = row.int8(2) }
        }
        return rows
    }

    private static let registerStatement = Statement(
        name: "register",
        sql: """
            WITH n AS (
                INSERT INTO parley.node (name, address, version, grace_ms, lease_ms)
                VALUES ($1::text, $2::text, $3::text, $5::int4, $4::int4)
                RETURNING node_no, incarnation
            ), w AS (
                INSERT INTO parley.writer (node_no, incarnation, kind, lease_until)
                SELECT n.node_no, n.incarnation, k.kind, clock_timestamp() + $4::int4 * interval '1 ms'
                FROM n, unnest(ARRAY['\(WriterKind.allCases.map(\.rawValue).joined(separator: "', '"))']) k(kind)
                RETURNING writer_no, kind
            )
            SELECT n.node_no, n.incarnation, w.writer_no, w.kind FROM n, w
            """)

    private static let renewStatement = Statement(
        name: "renew-registration",
        sql: """
            WITH n AS (
                UPDATE parley.node SET incarnation = incarnation + 1, dead_at = NULL, cleared_at = NULL, lease_ms = $2::int4
                WHERE node_no = $1::int8
                RETURNING node_no, incarnation
            ), w AS (
                UPDATE parley.writer w
                SET incarnation = n.incarnation, epoch = w.epoch + 1, dead_at = NULL,
                    lease_until = clock_timestamp() + $2::int4 * interval '1 ms'
                FROM n
                WHERE w.node_no = n.node_no
                RETURNING w.writer_no, w.kind
            )
            SELECT n.node_no, n.incarnation, w.writer_no, w.kind FROM n, w
            """)

    private static let resignStatement = Statement(
        name: "resign",
        sql: """
            WITH w AS (
                UPDATE parley.writer SET dead_at = clock_timestamp(), backend_pid = NULL, backend_start = NULL
                WHERE node_no = $1::int8
            )
            UPDATE parley.node SET dead_at = clock_timestamp() WHERE node_no = $1::int8
            """)
}
