import ParleyCluster
import TestPostgres
import Testing

/// What a cluster must live through. Real processes, real signals, a real PostgreSQL that stops.
@Suite("When something fails", .heavy)
struct FailureTests {
    @Test(
        "a node is killed in the middle of a conversation: its client goes on elsewhere and nothing is missing or doubled"
    )
    func nodeKilled() async throws {
        let database = try await TestPostgres.shared.makeDatabase()
        let nodes = try await Design.nodes(of: database)
        let ann = try await TestClient.connect(to: nodes[0])
        let bob = try await TestClient.connect(to: nodes[1])
        let room = try await ann.create()
        try await ann.join(room)
        try await bob.join(room)
        let count = 200
        for number in 1...count {
            await bob.say("\(number)", in: room, id: number)
            if number == count / 2 { await nodes[1].kill() }
        }
        _ = try await bob.expectClose()
        let seenByBob = try await bob.changes(of: room, upTo: 0)

        let again = try await TestClient.connect(to: nodes[2], session: bob.session)
        #expect(await again.hello["resumed"]?.bool == true)
        #expect(await again.clientID == (await bob.clientID))
        let joined = try await again.join(room, #","after":\#(seenByBob.keys.max() ?? 0)"#)
        let last = try #require(joined["lastId"]?.int)
        for number in last..<count { await again.say("\(number + 1)", in: room, id: number + 1) }

        let seenByAnn = try await ann.changes(of: room, upTo: count)
        #expect(seenByAnn.sorted { $0.key < $1.key }.map { $0.value["id"]?.int } == Array(1...count))
        let seenByAgain = try await again.changes(of: room, upTo: count)
        #expect(seenByBob.merging(seenByAgain) { $1 } == seenByAnn)
        // It starts again under its name, and is one of them at once.
        try await nodes[1].start()
        let cyd = try await TestClient.connect(to: nodes[1])
        try await cyd.join(room, #","recent":1000"#)
        #expect(try await cyd.changes(of: room, upTo: count) == seenByAnn)
        for node in nodes { await node.kill() }
    }

    @Test("PostgreSQL goes away: sockets stay, requests get `unavailable`, and all goes on by itself")
    func databaseOutage() async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("outage")
        let nodes = try await Design.nodes(
            of: try server.url(database: "outage"), ["--request-timeout-ms", "700"], count: 2)
        let ann = try await TestClient.connect(to: nodes[0])
        let bob = try await TestClient.connect(to: nodes[1])
        let room = try await ann.create()
        try await ann.join(room)
        try await bob.join(room)
        await ann.say("before", in: room, id: 1)
        _ = try await bob.changes(of: room, upTo: 1)

        _ = try await server.stop(.immediate)
        await ann.say("during", in: room, id: 2)
        let error = try await ann.expect { $0["method"]?.string == "error" }
        #expect(error["code"]?.string == "unavailable")
        #expect(error["temporary"]?.bool == true)
        #expect(error["id"]?.int == 2)
        let retryMs = try #require(error["retryMs"]?.int)
        // Nothing overtakes what is to be sent again.
        await ann.say("later", in: room, id: 3)
        let heldBack = try await ann.expect { $0["method"]?.string == "error" }
        #expect(heldBack["id"]?.int == 3)
        #expect(try await nodes[0].get("/health/live").status == 200)

        _ = try await server.start()
        // As clients do: the same ids again, lowest first, after the pause that the server asks for.
        var next = 2
        while next <= 3 {
            try await Task.sleep(for: .milliseconds(retryMs))
            await ann.say(next == 2 ? "during" : "later", in: room, id: next)
            let answer = try await ann.expect {
                $0["method"]?.string == "update" || $0["method"]?.string == "ack" || $0["method"]?.string == "error"
            }
            if answer["method"]?.string != "error" { next += 1 }
        }
        let seen = try await bob.changes(of: room, upTo: 3)
        #expect(
            seen.sorted { $0.key < $1.key }.compactMap { $0.value["message"]?.string } == ["before", "during", "later"])
        for node in nodes { await node.kill() }
        _ = try await server.stop(.immediate)
    }

    @Test("a foreign transaction that holds one room's lock delays that room alone")
    func foreignLock() async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("locked")
        let nodes = try await Design.nodes(
            of: try server.url(database: "locked"), ["--request-timeout-ms", "60000"], count: 1)
        let ann = try await TestClient.connect(to: nodes[0])
        let held = try await ann.create("held")
        let free = try await ann.create("free")
        try await ann.join(held)
        try await ann.join(free)
        let lock = Task {
            try await server.query(
                "BEGIN; SELECT FROM parley.room WHERE room_id = 'held' FOR UPDATE; SELECT pg_sleep(50); COMMIT",
                database: "locked")
        }
        let holders = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        while try await server.query(holders, database: "locked") != "1" {
            try await Task.sleep(for: .milliseconds(10))
        }
        await ann.say("waits", in: held, id: 1)
        for number in 1...10 {
            await ann.say("\(number)", in: free, id: number)
            _ = try await ann.changes(of: free, upTo: number)
        }
        #expect(try await server.query(holders, database: "locked") == "1", "nothing waited for the lock")
        _ = try await server.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'", database: "locked")
        _ = try await ann.changes(of: held, upTo: 1)
        await #expect(throws: LocalServiceError.self) { try await lock.value }
        for node in nodes { await node.kill() }
        _ = try await server.stop(.immediate)
    }

    @Test("SIGTERM: clients are told to go on elsewhere, and the process ends with 0")
    func drain() async throws {
        let nodes = try await Design.memory.nodes()
        let ann = try await TestClient.connect(to: nodes[0])
        await nodes[0].terminate()
        #expect(try await ann.expectClose() == 1012)
        #expect(await nodes[0].ended() == 0)
    }

    @Test(
        "a malformed frame costs that frame, not the socket",
        arguments: [
            ("", "bad_request"), ("{", "bad_request"), ("[1]", "bad_request"), (#"{"method":"fly"}"#, "unknown_method"),
            (#"{"method":"ping","clientId":"nobody"}"#, "client_mismatch"),
            (#"{"method":"join","roomId":"no-such-room"}"#, "room_not_found"),
            (#"{"method":"message","roomId":"no-such-room","message":1}"#, "not_joined"),
            (#"{"method":"create","roomId":"a/b"}"#, "bad_request"),
            (#"{"method":"create","meta":{"a":"\#(String(repeating: "x", count: 9_000))"}}"#, "too_large"),
        ])
    func malformed(frame: String, code: String) async throws {
        let nodes = try await Design.memory.nodes()
        let ann = try await TestClient.connect(to: nodes[0])
        await ann.send(frame)
        let error = try await ann.expect { $0["method"]?.string == "error" }
        #expect(error["code"]?.string == code)
        await ann.send(#"{"method":"ping","id":4}"#)
        #expect(try await ann.expect { $0["method"]?.string == "ping" }["id"]?.int == 4)
        for node in nodes { await node.kill() }
    }
}
