import Logging
import NIOConcurrencyHelpers
import ParleyPostgres
import Testing

@Suite struct GreeterTests {
    private func connection(
        _ greeting: @escaping @Sendable (borrowing Greeter) throws(PostgresError) -> Void
    ) async throws -> PostgresConnection {
        let connection = PostgresConnection(
            role: "greeted", url: try await TestDatabase.url, settings: quickSettings(), logger: testLogger,
            greeting: greeting)
        connection.start()
        return connection
    }

    @Test("the greeting runs on each new connection, before any job, and knows the generation to come")
    func eachConnection() async throws {
        let seen = NIOLockedValueBox<[Int]>([])
        let connection = try await connection { greeter throws(PostgresError) in
            try greeter.query("CREATE TEMP TABLE greeted AS SELECT $1::int8 AS n", [.int8(41)])
            try greeter.run(script: "UPDATE greeted SET n = n + 1; SELECT 1;")
            let rows = try greeter.query("SELECT n, pg_backend_pid() FROM greeted")
            precondition(rows[0].int8(0) == 42 && rows[0].int4(1) == greeter.backendPID)
            precondition(greeter.serverVersion >= 140_000)
            let generation = greeter.generation
            seen.withLockedValue { $0.append(generation) }
        }
        let read = Statement(name: "read_greeted", sql: "SELECT n FROM greeted")
        #expect(try await connection.execute(read, timeout: .seconds(10))[0].int8(0) == 42)
        let pid = try await connection.execute(backendPID)[0].int4(0)
        _ = try await withConnection(role: "killer") { try await $0.execute(terminate, [.int4(pid)]) }
        try await eventually { connection.generation == 2 }
        #expect(try await connection.execute(read, timeout: .seconds(10))[0].int8(0) == 42)
        #expect(seen.withLockedValue { $0 } == [1, 2])
        await connection.close()
    }

    @Test("a greeting that fails is tried again, and its error is the reason why there is no connection")
    func failsAtFirst() async throws {
        let attempts = NIOLockedValueBox(0)
        let connection = try await connection { greeter throws(PostgresError) in
            let attempt = attempts.withLockedValue { attempts in
                attempts += 1
                return attempts
            }
            try greeter.query("SELECT 1 / $1::int4", [.int4(attempt <= 3 ? 0 : 1)])
        }
        try await connection.waitUntilConnected(timeout: .seconds(10))
        #expect(attempts.withLockedValue { $0 } == 4)
        #expect(connection.generation == 1)
        await connection.close()
    }

    @Test("a greeting that keeps failing is what waitUntilConnected throws")
    func keepsFailing() async throws {
        let connection = try await connection { greeter throws(PostgresError) in
            try greeter.run(script: "SELECT 1; SELEC")
        }
        // The first attempt may take longer than that.
        try await waitUntil {
            let error = await postgresError { () async throws(PostgresError) in
                try await connection.waitUntilConnected(timeout: .milliseconds(300))
            }
            return error?.sqlState == "42601"
        }
        await connection.close()
    }

    @Test("a fatal greeting ends all jobs, now and later, and is not tried again")
    func fatal() async throws {
        let attempts = NIOLockedValueBox(0)
        let connection = try await connection { _ throws(PostgresError) in
            attempts.withLockedValue { $0 += 1 }
            throw .fatal(reason: "too old")
        }
        for _ in 0..<2 {
            let error = await postgresError { () async throws(PostgresError) in
                try await connection.execute(echo8, [.int8(1)], timeout: .seconds(10))
            }
            #expect(error == .fatal(reason: "too old"))
        }
        await connection.close()
        #expect(attempts.withLockedValue { $0 } == 1)
    }

    @Test("a greeting that leaves a transaction open is a mistake that is not repeated")
    func openTransaction() async throws {
        let connection = try await connection { greeter throws(PostgresError) in try greeter.query("BEGIN") }
        let error = await postgresError { () async throws(PostgresError) in
            try await connection.waitUntilConnected(timeout: .seconds(10))
        }
        #expect(error == .fatal(reason: "the greeting left a transaction open"))
        await connection.close()
    }
}
