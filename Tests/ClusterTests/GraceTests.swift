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
            let lock = Task {
                try await query(
                    "BEGIN; SELECT FROM parley.room WHERE room_id = '\(room)' FOR UPDATE; SELECT pg_sleep(50); COMMIT")
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
}
