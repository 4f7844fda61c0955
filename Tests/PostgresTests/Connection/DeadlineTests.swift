import NIOConcurrencyHelpers
import ParleyPostgres
import TestPostgres
import Testing

@Suite(.heavy) struct DeadlineTests {
    @Test("at the deadline the server is told to stop, and the connection goes on")
    func cancelsOnServer() async throws {
        try await withConnection { connection in
            let pid = try await connection.execute(backendPID)[0].int4(0)
            let started = ContinuousClock.now
            let error = await postgresError { () async throws(PostgresError) in
                try await connection.execute(sleepFor, [.float8(30)], timeout: .milliseconds(150))
            }
            let elapsed = started.duration(to: .now)
            #expect(error == .timedOut(statement: "test_sleep"))
            #expect(elapsed >= .milliseconds(150) && elapsed < .seconds(5))
            #expect(try await connection.execute(backendPID)[0].int4(0) == pid)
            #expect(connection.generation == 1)
        }
    }

    @Test("what a timed out job had done is rolled back")
    func rolledBack() async throws {
        try await withConnection { connection in
            try await connection.execute(Statement(name: "make_slow", sql: "CREATE TEMP TABLE slow (n int)"))
            let insert = Statement(name: "insert_slow", sql: "INSERT INTO slow VALUES (1)")
            let error = await postgresError { () async throws(PostgresError) in
                try await connection.execute([(insert, []), (sleepFor, [.float8(30)])], timeout: .milliseconds(100))
            }
            #expect(error == .timedOut(statement: "insert_slow"))
            let count = Statement(name: "count_slow", sql: "SELECT count(*) FROM slow")
            #expect(try await connection.execute(count)[0].int8(0) == 0)
        }
    }

    @Test("a job that waits behind a slow one is not sent after its deadline")
    func expiresInQueue() async throws {
        try await withConnection(quickSettings { $0.inFlightMax = 1 }) { connection in
            try await withHeldLock(7_001, on: connection) { release in
                let error = await postgresError { () async throws(PostgresError) in
                    try await connection.execute(echo8, [.int8(1)], timeout: .milliseconds(50))
                }
                #expect(error == .unavailable(reason: "not sent in time: the connection is busy"))
                try await release()
            }
        }
    }

    @Test("a deadline behind a slow job hits neither the slow one nor those after it")
    func deadlineBehindSlowJob() async throws {
        try await withConnection { connection in
            try await withHeldLock(7_002, on: connection) { release in
                let late = Task {
                    await postgresError { () async throws(PostgresError) in
                        try await connection.execute(sleepFor, [.float8(60)], timeout: .milliseconds(300))
                    }
                }
                try await Task.sleep(for: .milliseconds(400))
                try await release()
                #expect(await late.value == .timedOut(statement: "test_sleep"))
                let rows = try await connection.execute(echo8, [.int8(9)])
                #expect(rows[0].int8(0) == 9)
            }
        }
    }

    /// While `body` runs, `connection` is busy with a job that waits for a lock. It must succeed after `release`.
    private func withHeldLock(
        _ key: Int64, on connection: PostgresConnection,
        _ body: (_ release: () async throws -> Void) async throws -> Void
    ) async throws {
        let hold = Statement(name: "test_hold", sql: "SELECT pg_advisory_lock($1::int8)")
        let letGo = Statement(name: "test_let_go", sql: "SELECT pg_advisory_unlock($1::int8)")
        let take = Statement(name: "test_take", sql: "SELECT pg_advisory_xact_lock($1::int8)")
        let pid = try await connection.execute(backendPID)[0].int4(0)
        try await withConnection(role: "holder") { holder in
            try await holder.execute(hold, [.int8(key)])
            let waiting = Task { try await connection.execute(take, [.int8(key)], timeout: .seconds(60)) }
            try await eventually { try await holder.isRunning("pg_advisory_xact_lock", pid: pid) }
            try await body { try await holder.execute(letGo, [.int8(key)]) }
            _ = try await waiting.value
        }
    }

    @Test("a cancelled task stops what the server does for it")
    func taskCancelled() async throws {
        try await withConnection { connection in
            let pid = try await connection.execute(backendPID)[0].int4(0)
            let task = Task {
                await postgresError { () async throws(PostgresError) in
                    try await connection.execute(sleepFor, [.float8(30)], timeout: .seconds(60))
                }
            }
            try await withConnection(role: "watcher") { watcher in
                try await eventually { try await watcher.isRunning("pg_sleep", pid: pid) }
                task.cancel()
                #expect(await task.value == .cancelled)
                #expect(try await !watcher.isRunning("pg_sleep", pid: pid))
            }
            #expect(connection.generation == 1)
        }
    }

    @Test("a task cancelled beforehand sends nothing")
    func cancelledBefore() async throws {
        let observer = RecordingObserver()
        try await withConnection(observer: observer) { connection in
            let task = Task {
                while !Task.isCancelled { await Task.yield() }
                return await postgresError { () async throws(PostgresError) in
                    try await connection.execute(echo8, [.int8(1)])
                }
            }
            task.cancel()
            #expect(await task.value == .cancelled)
        }
        #expect(observer.events.withLockedValue { log in !log.contains { $0.hasPrefix("test_echo8") } })
    }

    @Test("cancellation at any moment: each call ends, and the connection stays right")
    func cancelledAtRandom() async throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        let generator = NIOLockedValueBox(SplitMix(state: seed))
        try await withConnection { connection in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for caller in 0..<8 {
                    group.addTask {
                        for round in 0..<60 {
                            let value = Int64(caller * 100 + round)
                            let pause = generator.withLockedValue { Int.random(in: 0...600, using: &$0) }
                            let task = Task { () async -> Result<Int64, PostgresError> in
                                do throws(PostgresError) {
                                    return .success(try await connection.execute(echo8, [.int8(value)])[0].int8(0))
                                } catch {
                                    return .failure(error)
                                }
                            }
                            try await Task.sleep(for: .microseconds(pause))
                            task.cancel()
                            switch await task.value {
                            case .success(let answer): #expect(answer == value)
                            case .failure(.cancelled), .failure(.unavailable): break
                            case .failure(let error): Issue.record("\(error)")
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(connection.generation == 1)
        }
    }

    @Test("a server that does not even answer the cancel request costs the connection after the grace")
    func serverHangs() async throws {
        let settings = quickSettings { $0.cancelGrace = .milliseconds(300) }
        try await withConnection(settings) { connection in
            let pid = try await connection.execute(backendPID)[0].int4(0)
            try #require(StoppedProcess.canStop(pid))
            let stopped = StoppedProcess(pid)
            defer { stopped.resume() }
            let error = await postgresError { () async throws(PostgresError) in
                try await connection.execute(echo8, [.int8(1)], timeout: .milliseconds(100))
            }
            #expect(error?.isConnectionLost == true)
            try await eventually { connection.generation == 2 }
            #expect(try await connection.execute(echo8, [.int8(2)])[0].int8(0) == 2)
        }
    }
}
