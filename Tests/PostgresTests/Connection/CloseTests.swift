import ParleyPostgres
import Testing

@Suite struct CloseTests {
    @Test("close ends what waits as closed and what was sent as unknown, and refuses what comes after")
    func closeWhileJobsWait() async throws {
        try await withConnection(quickSettings { $0.inFlightMax = 1 }) { connection in
            let pid = try await connection.execute(backendPID)[0].int4(0)
            let sent = Task {
                await postgresError { () async throws(PostgresError) in
                    try await connection.execute(sleepFor, [.float8(30)], timeout: .seconds(60))
                }
            }
            try await withConnection(role: "watcher") { watcher in
                try await eventually { try await watcher.isRunning("pg_sleep", pid: pid) }
            }
            let waiting = Task {
                await postgresError { () async throws(PostgresError) in
                    try await connection.execute(echo8, [.int8(1)], timeout: .seconds(60))
                }
            }
            // `waiting` ends as closed even when it comes after the close: no moment would be wrong.
            await connection.close()
            #expect(await sent.value?.isConnectionLost == true)
            #expect(await waiting.value == .closed)
            let after = await postgresError { () async throws(PostgresError) in
                try await connection.execute(echo8, [.int8(1)])
            }
            #expect(after == .closed)
            #expect(connection.generation == nil)
            await connection.close()
        }
    }

    @Test("closed before it was started, it never connects")
    func closeBeforeStart() async throws {
        let connection = PostgresConnection(
            role: "unstarted", url: try await TestDatabase.url, settings: quickSettings(), logger: testLogger)
        await connection.close()
        connection.start()
        let error = await postgresError { () async throws(PostgresError) in
            try await connection.waitUntilConnected(timeout: .seconds(5))
        }
        #expect(error == .closed)
    }

    @Test("a connection that nobody holds any more goes away")
    func dropped() async throws {
        try await withConnection(role: "watcher") { watcher in
            let count = Statement(
                name: "count_dropped",
                sql: "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'parley/dropped'")
            do {
                let connection = PostgresConnection(
                    role: "dropped", url: try await TestDatabase.url, settings: quickSettings(), logger: testLogger)
                connection.start()
                try await connection.waitUntilConnected(timeout: .seconds(10))
                #expect(try await watcher.execute(count)[0].int8(0) == 1)
            }
            try await eventually { try await watcher.execute(count)[0].int8(0) == 0 }
        }
    }
}
