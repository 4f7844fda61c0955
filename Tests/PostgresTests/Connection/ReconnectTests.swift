import Logging
import NIOConcurrencyHelpers
import ParleyPostgres
import TestPostgres
import Testing

@Suite(.heavy) struct ReconnectTests {
    @Test("a terminated backend: what was sent is unknown, the generation rises, and what waits is served")
    func terminated() async throws {
        let settings = quickSettings { $0.inFlightMax = 1 }
        try await withConnection(settings) { connection in
            let pid = try await connection.execute(backendPID)[0].int4(0)
            try await withConnection(role: "killer") { killer in
                let underway = Task {
                    await postgresError { () async throws(PostgresError) in
                        try await connection.execute(sleepFor, [.float8(30)], timeout: .seconds(60))
                    }
                }
                try await eventually { try await killer.isRunning("pg_sleep", pid: pid) }
                let waiting = Task { try await connection.execute(echo8, [.int8(4)], timeout: .seconds(10)) }
                let bound = Task {
                    await postgresError { () async throws(PostgresError) in
                        try await connection.execute(
                            echo8, [.int8(5)], timeout: .seconds(10), onlyGeneration: 1)
                    }
                }
                try await Task.sleep(for: .milliseconds(20))
                try await killer.execute(terminate, [.int4(pid)])
                #expect(await underway.value?.isConnectionLost == true)
                #expect(try await waiting.value[0].int8(0) == 4)
                #expect(await bound.value?.isUnavailable == true)
            }
            #expect(connection.generation == 2)
            #expect(try await connection.execute(backendPID)[0].int4(0) != pid)
        }
    }

    @Test("a backend terminated while idle is noticed without a job")
    func terminatedIdle() async throws {
        let observer = RecordingObserver()
        try await withConnection(observer: observer) { connection in
            let pid = try await connection.execute(backendPID)[0].int4(0)
            _ = try await withConnection(role: "killer") { try await $0.execute(terminate, [.int4(pid)]) }
            try await eventually { connection.generation == 2 }
            #expect(observer.events.withLockedValue { $0.contains("disconnected") })
        }
    }

    @Test("a job for a generation that is gone is not sent")
    func onlyGeneration() async throws {
        try await withConnection { connection in
            let rows = try await connection.execute(echo8, [.int8(1)], onlyGeneration: 1)
            #expect(rows[0].int8(0) == 1)
            let error = await postgresError { () async throws(PostgresError) in
                try await connection.execute(echo8, [.int8(1)], onlyGeneration: 2)
            }
            #expect(error == .unavailable(reason: "the connection for which it was meant is gone"))
        }
    }

    @Test("16 callers over terminations: every call ends, none with another one's answer")
    func terminationsUnderLoad() async throws {
        try await withConnection { connection in
            let done = NIOLockedValueBox(false)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for caller in 0..<16 {
                    group.addTask {
                        var value = Int64(caller) << 32
                        while !done.withLockedValue({ $0 }) {
                            value += 1
                            do throws(PostgresError) {
                                let answer = try await connection.execute(echo8, [.int8(value)])[0].int8(0)
                                #expect(answer == value)
                            } catch {
                                guard case .connectionLost = error else {
                                    Issue.record("\(error)")
                                    return
                                }
                            }
                        }
                    }
                }
                try await withConnection(role: "killer") { killer in
                    for generation in 1...5 {
                        try await eventually { connection.generation == generation }
                        let pid = try await connection.execute(backendPID)[0].int4(0)
                        try await killer.execute(terminate, [.int4(pid)])
                    }
                    try await eventually { connection.generation == 6 }
                }
                done.withLockedValue { $0 = true }
                try await group.waitForAll()
            }
        }
    }

    @Test("an unreachable server: unavailable within the timeout, and the reason is the server's")
    func unreachable() async throws {
        let connection = PostgresConnection(
            role: "nowhere", url: "postgresql://someone:geheim@127.0.0.1:1/x", settings: quickSettings(),
            logger: testLogger)
        connection.start()
        let started = ContinuousClock.now
        let error = await postgresError { () async throws(PostgresError) in
            try await connection.execute(echo8, [.int8(1)], timeout: .milliseconds(200))
        }
        let elapsed = started.duration(to: .now)
        guard case .unavailable(let reason) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(reason.contains("Connection refused"))
        #expect(elapsed >= .milliseconds(200) && elapsed < .seconds(2))
        let atStart = await postgresError { () async throws(PostgresError) in
            try await connection.waitUntilConnected(timeout: .milliseconds(100))
        }
        #expect(atStart?.description.contains("Connection refused") == true)
        #expect(connection.generation == nil)
        await connection.close()
        #expect(testLog.withLockedValue { log in !log.contains { $0.contains("geheim") } })
        #expect(testLog.withLockedValue { log in log.contains { $0.contains("someone@127.0.0.1:1/x") } })
    }

    @Test("a server that accepts and says nothing: the attempt ends in time, and close() need not wait for it")
    func silentServer() async throws {
        let server = try SilentServer()
        let connection = PostgresConnection(
            role: "silent", url: "postgresql://postgres@127.0.0.1:\(server.port)/x",
            settings: quickSettings { $0.connectTimeout = .milliseconds(200) }, logger: testLogger)
        connection.start()
        let error = await postgresError { () async throws(PostgresError) in
            try await connection.waitUntilConnected(timeout: .milliseconds(500))
        }
        #expect(error?.description.contains("did not let us in within") == true)
        await connection.close()

        let patient = PostgresConnection(
            role: "patient", url: "postgresql://postgres@127.0.0.1:\(server.port)/x",
            settings: quickSettings { $0.connectTimeout = .seconds(60) }, logger: testLogger)
        patient.start()
        try await eventually { server.hasPending }
        let started = ContinuousClock.now
        await patient.close()
        #expect(started.duration(to: .now) < .seconds(5))
    }

    @Test("of several hosts, the first refusing, the second serves")
    func secondHost() async throws {
        let address = try await testServerAddress()
        let url = try await testURL(with: "host=127.0.0.1,\(address.host)&port=1,\(address.port)")
        let value = try await withConnection(url: url) { try await $0.execute(echo8, [.int8(2)])[0].int8(0) }
        #expect(value == 2)
    }

    @Test("of several hosts, the first silent, the next attempt begins with the second")
    func secondHostAfterSilence() async throws {
        let server = try SilentServer()
        let address = try await testServerAddress()
        // Two names of this machine: the host that was silent is told by its name.
        let url = try await testURL(with: "host=localhost,\(address.host)&port=\(server.port),\(address.port)")
        let settings = quickSettings { $0.connectTimeout = .milliseconds(500) }
        let value = try await withConnection(url: url, settings) { try await $0.execute(echo8, [.int8(2)])[0].int8(0) }
        #expect(value == 2)
    }

    @Test(
        "what is wrong with the credentials or the database is said at start-up",
        arguments: [
            ("dbname=no_such_database", "database \"no_such_database\" does not exist"),
            ("user=no_such_role", "no_such_role"),
        ])
    func clearStartErrors(parameters: String, message: String) async throws {
        let connection = PostgresConnection(
            role: "wrong", url: try await testURL(with: parameters), settings: quickSettings(), logger: testLogger)
        connection.start()
        // The first attempt may still be under way when the time is up.
        try await eventually {
            let error = await postgresError { () async throws(PostgresError) in
                try await connection.waitUntilConnected(timeout: .milliseconds(300))
            }
            return error?.description.contains(message) == true
        }
        await connection.close()
    }

    @Test("a URL that cannot be read is fatal at once and not quoted")
    func unreadableURL() async throws {
        let connection = PostgresConnection(
            role: "wrong", url: "postgresql://me:geheim@[::1/x", settings: quickSettings(), logger: testLogger)
        connection.start()
        let error = await postgresError { () async throws(PostgresError) in
            try await connection.waitUntilConnected(timeout: .seconds(5))
        }
        guard case .fatal(let reason) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(!reason.contains("geheim"))
        await connection.close()
    }
}

extension PostgresConnection {
    /// Whether the backend executes something that has `text` in it.
    func isRunning(_ text: String, pid: Int32) async throws -> Bool {
        let statement = Statement(
            name: "test_is_running",
            sql: """
                SELECT EXISTS (SELECT FROM pg_stat_activity
                WHERE pid = $1::int4 AND state = 'active' AND strpos(query, $2::text) > 0)
                """)
        return try await execute(statement, [.int4(pid), .text(text)])[0].bool(0)
    }
}
