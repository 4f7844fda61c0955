import ParleyCluster
import TestPostgres
import Testing

/// Memberships outlive a socket by their grace, and not longer.
@Suite("Grace", .heavy)
struct GraceTests {
    /// A server of its own with one database, which can hold a room's lock.
    private static func withNodes(
        _ more: [String], count: Int = 1, _ body: ([TestNode], Database) async throws -> Void
    ) async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("grace")
        let nodes = try await Design.nodes(of: try server.url(database: "grace"), more, count: count)
        try await body(nodes, Database(server: server))
        for node in nodes { await node.kill() }
        _ = try await server.stop(.immediate)
    }

    private struct Database {
        let server: LocalPostgres

        func query(_ sql: String) async throws -> String { try await server.query(sql, database: "grace") }

        func members(of room: String) async throws -> String {
            try await query("SELECT count(*) FROM parley.members WHERE room_id = '\(room)'")
        }

        func wait(_ condition: () async throws -> Bool) async throws {
            let deadline = ContinuousClock.now + TestClient.patience
            while try await !condition() {
                guard ContinuousClock.now < deadline else { throw TestClient.Gone(description: "waited in vain") }
                try await Task.sleep(for: .milliseconds(10))
            }
        }

        /// Holds the lock on a room while `body` runs.
        func holding(_ room: String, _ body: () async throws -> Void) async throws {
            try await holding(rows: "parley.room WHERE room_id = '\(room)'", body)
        }

        func holding(rows: String, _ body: () async throws -> Void) async throws {
            let lock = Task {
                try await query("BEGIN; SELECT FROM \(rows) FOR UPDATE; SELECT pg_sleep(50); COMMIT")
            }
            let holders = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
            try await wait { try await query(holders) == "1" }
            try await body()
            _ = try await query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
            await #expect(throws: LocalServiceError.self) { try await lock.value }
        }
    }

    @Test("a room whose join takes longer than the grace is not left")
    func slowJoin() async throws {
        try await Self.withNodes(["--grace-ms", "1000", "--request-timeout-ms", "60000"]) { nodes, database in
            let ann = try await TestClient.connect(to: nodes[0])
            let room = try await ann.create("slow")
            let forgotten = try await ann.create("forgotten")
            try await ann.join(room)
            try await ann.join(forgotten)
            let again = try await TestClient.connect(to: nodes[0], session: ann.session)
            try await database.holding(room) {
                await again.send(#"{"method":"join","id":2,"roomId":"slow"}"#)
                // The time of the grace has come: what is not being joined is left.
                try await database.wait { try await database.members(of: forgotten) == "0" }
            }
            _ = try await again.expect { $0["method"]?.string == "join" && $0["state"] != nil }
            // A leave would have come before this: requests of one session to one room keep their order.
            try await again.join(room)
            let steps = try await database.query("SELECT roster_seq FROM parley.room WHERE room_id = '\(room)'")
            #expect(steps == "1", "nobody has left")
        }
    }

    @Test("a client that closes with 1000 leaves all its rooms at once")
    func closed() async throws {
        try await Self.withNodes(["--grace-ms", "600000"]) { nodes, database in
            let ann = try await TestClient.connect(to: nodes[0])
            for name in ["a", "b"] { try await ann.join(try await ann.create(name)) }
            let again = try await TestClient.connect(to: nodes[0], session: ann.session)
            // Joined anew or not.
            try await again.join("a")
            await again.close()
            for name in ["a", "b"] { try await database.wait { try await database.members(of: name) == "0" } }
        }
    }

    @Test("a socket that is lost before it has its session does not keep the session's rooms")
    func lostWhileConnecting() async throws {
        try await Self.withNodes(["--grace-ms", "1000"]) { nodes, database in
            let ann = try await TestClient.connect(to: nodes[0])
            let room = try await ann.create()
            try await ann.join(room)
            await ann.drop()
            try await database.holding(rows: "parley.session") {
                let again = try await TestClient.open(to: nodes[0], session: ann.session)
                #expect(try await again.expectClose() == 1013)
            }
            #expect(try await database.members(of: room) == "1", "the grace has begun anew")
            try await database.wait { try await database.members(of: room) == "0" }
        }
    }

    @Test("a join that ends after the socket, and after the grace, makes no member for ever")
    func joinEndsLate() async throws {
        try await Self.withNodes(["--grace-ms", "200", "--request-timeout-ms", "60000"]) { nodes, database in
            let ann = try await TestClient.connect(to: nodes[0])
            let (room, other) = (try await ann.create(), try await ann.create())
            try await ann.join(other)
            try await database.holding(room) {
                await ann.send(#"{"method":"join","id":2,"roomId":"\#(room)"}"#)
                await ann.send(#"{"method":"ping","id":3}"#)
                _ = try await ann.expect { $0["method"]?.string == "ping" }
                await ann.drop()
                try await database.wait { try await database.members(of: other) == "0" }
            }
            let steps = "SELECT roster_seq FROM parley.room WHERE room_id = '\(room)'"
            try await database.wait { try await database.query(steps) == "2" }
            #expect(try await database.members(of: room) == "0")
        }
    }

    @Test("rooms that a client had not joined anew when it was lost again are left after the grace")
    func lostAgain() async throws {
        try await Self.withNodes(["--grace-ms", "1000"]) { nodes, database in
            let ann = try await TestClient.connect(to: nodes[0])
            let room = try await ann.create()
            try await ann.join(room)
            await ann.drop()
            let again = try await TestClient.connect(to: nodes[0], session: ann.session)
            #expect(await again.hello["rooms"]?.array?.count == 1)
            await again.drop()
            try await database.wait { try await database.members(of: room) == "0" }
        }
    }

    @Test("memberships end also when the database was away at their time")
    func outage() async throws {
        try await Self.withNodes(["--grace-ms", "100", "--request-timeout-ms", "700"]) { nodes, database in
            let ann = try await TestClient.connect(to: nodes[0])
            let room = try await ann.create()
            try await ann.join(room)
            _ = try await database.server.stop(.immediate)
            await ann.drop()
            let bob = try await TestClient.connect(to: nodes[0])
            // Until requests fail and longer: the grace is over, and the first attempt too.
            for _ in 1...3 {
                await bob.send(#"{"method":"create","id":7}"#)
                let error = try await bob.expect { $0["id"]?.int == 7 }
                #expect(error["code"]?.string == "unavailable")
            }
            _ = try await database.server.start()
            try await database.wait { try await database.members(of: room) == "0" }
        }
    }

    @Test("a client that comes back in time keeps its rooms, on whatever node")
    func comesBack() async throws {
        try await Self.withNodes(["--grace-ms", "1000"], count: 2) { nodes, database in
            var ann = try await TestClient.connect(to: nodes[0])
            let room = try await ann.create()
            try await ann.join(room)
            for round in 1...6 {
                await ann.drop()
                ann = try await TestClient.connect(to: nodes[round / 2 % 2], session: ann.session)
                #expect(await ann.hello["rooms"]?.array?.count == 1)
                try await ann.join(room)
            }
            let steps = try await database.query("SELECT roster_seq FROM parley.room WHERE room_id = '\(room)'")
            #expect(steps == "1", "nobody has left")
        }
    }

    @Test("what waits for a join is bounded in bytes: the client is not read until it has gone on")
    func backlog() async throws {
        try await Self.withNodes(["--request-timeout-ms", "60000"]) { nodes, database in
            let (ann, bob) = (try await TestClient.connect(to: nodes[0]), try await TestClient.connect(to: nodes[0]))
            let room = try await ann.create("busy")
            let text = String(repeating: "x", count: 30_000)
            try await database.holding(room) {
                await ann.send(#"{"method":"join","id":1,"roomId":"busy"}"#)
                for id in 2...60 { await ann.say(text, in: room, id: id) }
                await ann.send(#"{"method":"ping","id":61}"#)
                for id in 1...200 {
                    await bob.send(#"{"method":"ping","id":\#(id)}"#)
                    _ = try await bob.expect { $0["id"]?.int == id }
                }
                #expect(await ann.frames.allSatisfy { $0["method"]?.string != "ping" })
            }
            _ = try await ann.expect { $0["method"]?.string == "join" && $0["state"] != nil }
            _ = try await ann.expect { $0["method"]?.string == "ping" }
            _ = try await ann.changes(of: room, upTo: 59)
        }
    }
}
