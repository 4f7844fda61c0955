import Logging
import NIOConcurrencyHelpers
import ParleyCore
import ParleySchema
import TestPostgres

@testable import ParleyPostgres

/// A database of its own for one test, dropped at the end.
struct ScratchDatabase: Sendable {
    let url: String

    /// - Parameter isMigrated: With Parley's schema.
    @discardableResult
    static func use<Value>(
        isMigrated: Bool = true, _ body: (ScratchDatabase) async throws -> Value
    ) async throws -> Value {
        let database = ScratchDatabase(url: try await TestPostgres.shared.makeDatabase())
        let result: Result<Value, any Error>
        do {
            if isMigrated {
                try await Migrator(url: database.url, version: "test", logger: quietLogger).migrate()
            }
            result = .success(try await body(database))
        } catch {
            result = .failure(error)
        }
        try await TestPostgres.shared.drop(database.url)
        return try result.get()
    }

    /// Commands outside of any transaction, by the simple protocol.
    func run(_ script: String) async throws {
        let outcome = NIOLockedValueBox<PostgresError?>(nil)
        let connection = PostgresConnection(
            role: "test", url: url, settings: ConnectionSettings(), logger: quietLogger
        ) { greeter throws(PostgresError) in
            do throws(PostgresError) {
                try greeter.run(script: script)
            } catch {
                outcome.withLockedValue { $0 = error }
                throw .fatal(reason: "\(error)")
            }
        }
        connection.start()
        do { try await connection.waitUntilConnected(timeout: .seconds(30)) } catch {
            await connection.close()
            throw outcome.withLockedValue { $0 } ?? error
        }
        await connection.close()
    }

    /// One statement on a connection of its own.
    @discardableResult
    func query(_ sql: String, _ parameters: [Parameter] = [], timeout: Duration = .seconds(60)) async throws -> Rows {
        let connection = PostgresConnection(
            role: "test", url: url, settings: ConnectionSettings(), logger: quietLogger)
        connection.start()
        let result: Result<Rows, PostgresError>
        do throws(PostgresError) {
            result = .success(
                try await connection.execute(Statement(name: "test", sql: sql), parameters, timeout: timeout))
        } catch {
            result = .failure(error)
        }
        await connection.close()
        return try result.get()
    }

    /// A started store of a node of this name, closed at the end.
    func withStore<Value>(
        _ name: String = "n1", adjust: (inout StoreConfiguration) -> Void = { _ in },
        _ body: (PostgresRoomStore) async throws -> Value
    ) async throws -> Value {
        var configuration = StoreConfiguration(url: url, nodeName: name, version: "test")
        adjust(&configuration)
        let store = PostgresRoomStore(configuration: configuration, logger: quietLogger)
        let result: Result<Value, any Error>
        do {
            try await store.start()
            result = .success(try await body(store))
        } catch {
            result = .failure(error)
        }
        await store.close()
        return try result.get()
    }

    /// Holds the row locks that `sql` takes (`SELECT … FOR UPDATE`) while `body` runs, as a foreign application would.
    @discardableResult
    func holding<Value>(_ sql: String, _ body: () async throws -> Value) async throws -> Value {
        let mark = "held_\(UInt32.random(in: .min ... .max))"
        let holder = Task {
            _ = try? await query("WITH \(mark) AS MATERIALIZED (\(sql)) SELECT pg_sleep(60) FROM \(mark)")
        }
        do {
            try await waitUntil {
                try await !query(
                    """
                    SELECT 1 FROM pg_stat_activity
                    WHERE wait_event = 'PgSleep' AND query LIKE '%' || $1::text || '%' AND pid <> pg_backend_pid()
                    """, [.text(mark)]
                ).isEmpty
            }
            let value = try await body()
            holder.cancel()
            await holder.value
            return value
        } catch {
            holder.cancel()
            await holder.value
            throw error
        }
    }
}

let quietLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

struct NeverHappened: Error {}

/// Waits until `condition` holds, up to a bound.
func waitUntil(within limit: Duration = .seconds(20), _ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw NeverHappened() }
        try await Task.sleep(for: .milliseconds(5))
    }
}
