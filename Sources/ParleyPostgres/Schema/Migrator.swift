public import Logging
internal import NIOConcurrencyHelpers
public import ParleySchema

/// Brings the schema up to date. Any number of nodes may try at once: they take turns.
public struct Migrator: Sendable {
    private let url: String
    private let version: String
    private let migrations: [Migration]
    private let connectPatience: Duration
    private let logger: Logger

    /// How long one migration may take.
    public static let migrationTimeMax = Duration.seconds(600)
    /// For all of them, the wait for another migrator included.
    public static let timeMax = Duration.seconds(1_200)

    /// The letters of "Parl" and "ey" as two numbers: locks of applications that share the database use other ones.
    private static let lock = "pg_advisory_xact_lock(1348563564, 1702428672)"

    /// - Parameters:
    ///   - version: Of this program, kept with each migration that it applies.
    ///   - connectPatience: How long to try to reach a server that does not answer or refuses.
    public init(
        url: String, version: String, connectPatience: Duration = .seconds(10), logger: Logger,
        migrations: [Migration] = Schema.migrations
    ) {
        self.url = url
        self.version = version
        self.connectPatience = connectPatience
        self.logger = logger
        self.migrations = migrations
    }

    /// What is there and what is missing. Changes nothing.
    public func status() async throws(SchemaError) -> SchemaStatus {
        let inspection = SchemaInspection(known: migrations)
        return try await visit { greeter throws(PostgresError) in
            do throws(SchemaError) {
                return .success(try Self.status(greeter, inspection))
            } catch {
                return .failure(error)
            }
        }
    }

    /// Applies what is missing, each migration in a transaction of its own, and returns what it applied.
    ///
    /// - Parameter dryRun: Check everything, the rights included, and return what would be applied; change nothing.
    @discardableResult
    public func migrate(dryRun: Bool = false) async throws(SchemaError) -> [Migration] {
        let inspection = SchemaInspection(known: migrations)
        return try await visit { [migrations, version, logger] greeter throws(PostgresError) in
            var done: [Migration] = []
            do throws(SchemaError) {
                let before = try Self.status(greeter, inspection)
                try inspection.check(greeter, before)
                if before.pending.isEmpty { try SchemaRights.checkUse(greeter) }
                try before.check(notNewerThan: migrations)
                guard !before.pending.isEmpty else { return .success([]) }
                try SchemaRights.checkMake(greeter)
                guard !dryRun else { return .success(before.pending) }
                for migration in before.pending {
                    let isNew = try Self.apply(migration, greeter, inspection, version: version)
                    guard isNew else { continue }
                    done.append(migration)
                    logger.notice("applied migration \(migration.number) (\(migration.name))")
                }
                return .success(done)
            } catch {
                return .failure(error)
            }
        }
    }

    /// Throws unless this program may use the database as it is.
    public func check() async throws(SchemaError) {
        let inspection = SchemaInspection(known: migrations)
        try await visit { [migrations] greeter throws(PostgresError) in
            do throws(SchemaError) {
                let status = try Self.status(greeter, inspection)
                try inspection.check(greeter, status)
                try status.check(usableBy: migrations)
                return .success(try SchemaRights.checkUse(greeter))
            } catch {
                return .failure(error)
            }
        }
    }

    /// Makes what an example needs, and says whether it did. A schema of its name is left alone: its owner may have altered it.
    public func add(_ example: Example) async throws(SchemaError) -> Bool {
        try await visit { greeter throws(PostgresError) in
            do throws(PostgresError) {
                try greeter.run(script: "BEGIN; SELECT \(Self.lock)")
                let schemas = try greeter.query(
                    "SELECT FROM pg_namespace WHERE nspname = $1::text", [.text(example.schema)])
                guard schemas.isEmpty else { return .success(false) }
                try greeter.run(script: example.sql)
                try greeter.run(script: "COMMIT")
                return .success(true)
            } catch {
                return .failure(.exampleFailed(name: example.name, reason: "\(error)"))
            }
        }
    }

    // MARK: In the greeting

    private static func status(
        _ greeter: borrowing Greeter, _ inspection: SchemaInspection
    ) throws(SchemaError) -> SchemaStatus {
        try SchemaRights.checkLook(greeter)
        do throws(PostgresError) {
            return try inspection.status(greeter)
        } catch {
            throw .unreachable(reason: "\(error)")
        }
    }

    /// False when another migrator was faster.
    private static func apply(
        _ migration: Migration, _ greeter: borrowing Greeter, _ inspection: SchemaInspection, version: String
    ) throws(SchemaError) -> Bool {
        var database = "?"
        do throws(PostgresError) {
            try greeter.run(script: "BEGIN; SELECT \(lock)")
            try greeter.run(script: Schema.foundation)
            // A new statement after the wait for the lock: it sees what another migrator has done meanwhile.
            let status = try inspection.status(greeter)
            database = status.database
            guard status.pending.first == migration else {
                try greeter.run(script: "ROLLBACK")
                return false
            }
            // First, so that the primary key stops whoever came here without the lock.
            try greeter.query(
                """
                INSERT INTO parley.migration (number, name, parley_version, older_nodes_go_on)
                VALUES ($1::int4, $2::text, $3::text, $4::bool)
                """,
                [
                    .int4(migration.number), .text(migration.name), .text(version), .bool(migration.olderNodesGoOn),
                ])
            try greeter.run(script: migration.sql)
            try greeter.run(script: Schema.grants)
            try greeter.run(script: "COMMIT")
            return true
        } catch {
            // The connection is closed with the greeting, and the transaction with it.
            throw .migrationFailed(
                database: database, number: migration.number, name: migration.name, reason: "\(error)")
        }
    }

    /// Runs `work` in the greeting of a connection that is there for nothing else: scripts of several commands and
    /// transactions over several statements are only possible there.
    private func visit<Value: Sendable>(
        _ work: @escaping @Sendable (borrowing Greeter) throws(PostgresError) -> Result<Value, SchemaError>
    ) async throws(SchemaError) -> Value {
        let visit = NIOLockedValueBox(Visit<Value>.travelling)
        // What goes wrong is thrown; and the end of a visit looks like a fault to the connection.
        var quiet = logger
        quiet.logLevel = .critical
        let connection = PostgresConnection(
            role: "migrator", url: url, settings: Self.settings, logger: quiet
        ) { greeter throws(PostgresError) in
            visit.withLockedValue { $0 = .there }
            do throws(PostgresError) {
                let result = try work(greeter)
                visit.withLockedValue { $0 = .over(result) }
            } catch {
                visit.withLockedValue { $0 = .over(.failure(.unreachable(reason: "\(error)"))) }
            }
            // Also after a success: this connection is not for jobs, and nothing is tried twice.
            throw .fatal(reason: "done")
        }
        connection.start()
        let error = await end(of: connection) { visit.withLockedValue { $0.isTravelling } }
        await connection.close()
        switch visit.withLockedValue({ $0 }) {
        case .over(let result): return try result.get()
        case .travelling, .there: throw .unreachable(reason: "\(error)")
        }
    }

    private enum Visit<Value: Sendable> {
        case travelling
        case there
        case over(Result<Value, SchemaError>)

        var isTravelling: Bool {
            switch self {
            case .travelling: true
            case .there, .over: false
            }
        }
    }

    /// Waits for the greeting to end, but for the connection itself only for as long as the patience lasts.
    private func end(of connection: PostgresConnection, isTravelling: () -> Bool) async -> PostgresError {
        let start = ContinuousClock.now
        while true {
            do throws(PostgresError) {
                try await connection.waitUntilConnected(timeout: connectPatience)
            } catch {
                switch error {
                case .server, .connectionLost, .timedOut, .closed, .cancelled, .fatal: return error
                case .unavailable:
                    if isTravelling() || ContinuousClock.now - start > Self.timeMax { return error }
                }
            }
        }
    }

    private static var settings: ConnectionSettings {
        var settings = ConnectionSettings()
        settings.greetingQueryTimeout = migrationTimeMax
        settings.isRefusalFinal = true
        settings.sessionSettings = [
            "client_min_messages": "warning", "search_path": "pg_catalog", "synchronous_commit": "on",
            "default_transaction_isolation": "read committed",
        ]
        return settings
    }
}
