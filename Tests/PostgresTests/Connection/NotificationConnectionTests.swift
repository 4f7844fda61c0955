import Logging
import NIOConcurrencyHelpers
import ParleyPostgres
import Testing

@Suite struct NotificationConnectionTests {
    private struct Heard {
        var listening = 0
        var payloads: [String] = []
        var senders: Set<Int32> = []
    }

    private let heard = NIOLockedValueBox(Heard())
    private let notify = Statement(name: "test_notify", sql: "SELECT pg_notify($1::text, $2::text)")

    /// Shows up as `name` in `pg_stat_activity`, and listens to the channel of that name.
    private func listener(
        _ name: String, pingEvery: Duration = .milliseconds(50), silenceMax: Duration = .seconds(3)
    ) async throws -> NotificationConnection {
        let heard = heard
        return NotificationConnection(
            url: try await testURL(with: "application_name=\(name)"), channel: name, settings: quickSettings(),
            logger: testLogger, pingEvery: pingEvery, silenceMax: silenceMax,
            onListening: { heard.withLockedValue { $0.listening += 1 } },
            onNotification: { payload, pid in
                heard.withLockedValue {
                    $0.payloads.append(String(decoding: payload, as: UTF8.self))
                    $0.senders.insert(pid)
                }
            })
    }

    private func backend(of name: String, _ connection: PostgresConnection) async throws -> Int32 {
        let find = Statement(
            name: "find_listener", sql: "SELECT pid FROM pg_stat_activity WHERE application_name = $1::text")
        let rows = try await connection.execute(find, [.text(name)])
        return try #require(rows.first).int4(0)
    }

    @Test("a channel with capitals and quotes, payloads in order, empty and not ASCII, and who sent them")
    func payloads() async throws {
        let channel = "Test\"quoted"
        let listener = try await listener(channel)
        listener.start()
        try await eventually { heard.withLockedValue { $0.listening } == 1 }
        try await withConnection { connection in
            let pid = try await connection.execute(backendPID)[0].int4(0)
            let payloads = ["", "ü"] + (0..<200).map { "\($0)" } + [String(repeating: "x", count: 7_999)]
            for payload in payloads { connection.submit(notify, [.text(channel), .text(payload)]) }
            try await eventually { heard.withLockedValue { $0.payloads.count } >= payloads.count }
            #expect(heard.withLockedValue { $0.payloads } == payloads)
            #expect(heard.withLockedValue { $0.senders } == [pid])
        }
        await listener.close()
    }

    @Test("after a termination it listens again and says so")
    func survivesTermination() async throws {
        let channel = "test_survives"
        let listener = try await listener(channel, pingEvery: .seconds(60))
        listener.start()
        try await eventually { heard.withLockedValue { $0.listening } == 1 }
        try await withConnection { connection in
            let pid = try await backend(of: channel, connection)
            try await connection.execute(terminate, [.int4(pid)])
            try await eventually { heard.withLockedValue { $0.listening } == 2 }
            try await connection.execute(notify, [.text(channel), .text("after")])
            try await eventually { heard.withLockedValue { $0.payloads } == ["after"] }
            #expect(listener.generation == 2)
        }
        await listener.close()
        #expect(listener.generation == nil)
    }

    @Test("a server that stands still is left after the silence, and joined again when it is back")
    func silence() async throws {
        let channel = "test_silence"
        let listener = try await listener(channel, pingEvery: .milliseconds(50), silenceMax: .milliseconds(300))
        listener.start()
        try await eventually { heard.withLockedValue { $0.listening } == 1 }
        let pid = try await withConnection { try await backend(of: channel, $0) }
        try #require(StoppedProcess.canStop(pid))
        let stopped = StoppedProcess(pid)
        defer { stopped.resume() }
        try await eventually { heard.withLockedValue { $0.listening } == 2 }
        await listener.close()
    }

    @Test("pings keep a quiet connection, and notifications come between them")
    func pings() async throws {
        let channel = "test_pings"
        let listener = try await listener(channel, pingEvery: .milliseconds(5))
        listener.start()
        try await eventually { heard.withLockedValue { $0.listening } == 1 }
        try await withConnection { connection in
            for round in 0..<50 {
                try await connection.execute(notify, [.text(channel), .text("\(round)")])
                try await Task.sleep(for: .milliseconds(3))
            }
        }
        try await eventually { heard.withLockedValue { $0.payloads.count } == 50 }
        #expect(heard.withLockedValue { $0.payloads } == (0..<50).map { "\($0)" })
        #expect(listener.generation == 1)
        await listener.close()
    }

    @Test("no server: it says why, and close is prompt")
    func unreachable() async throws {
        let listener = NotificationConnection(
            url: "postgresql://127.0.0.1:1/x", channel: "nowhere", settings: quickSettings(), logger: testLogger,
            onListening: {}, onNotification: { _, _ in })
        listener.start()
        try await eventually { listener.lastError != nil }
        #expect(listener.lastError?.description.contains("Connection refused") == true)
        await listener.close()
        await listener.close()
        #expect(listener.generation == nil)
    }
}
