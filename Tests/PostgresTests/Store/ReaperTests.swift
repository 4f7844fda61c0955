import NIOConcurrencyHelpers
import ParleyCore
import TestPostgres
import Testing

@testable import ParleyPostgres

@Suite("Reaper", .heavy)
struct ReaperTests {
    private func quick(_ configuration: inout StoreConfiguration) {
        configuration.lease = .milliseconds(600)
        configuration.heartbeatEvery = .milliseconds(50)
        configuration.grace = .milliseconds(300)
    }

    /// One sign of life, then none, as of a process that was killed or is paused.
    private func silent(_ configuration: inout StoreConfiguration) {
        quick(&configuration)
        configuration.heartbeatEvery = .seconds(3_600)
    }

    @Test("members of a node that was silent beyond its lease leave once, after its grace, and every node can read it")
    func silentNode() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore("n1", adjust: quick) { one in
                let rooms = try await one.makeRooms(3)
                try await database.withStore("dying", adjust: silent) { dying in
                    for id in ["r1", "r2"] {
                        _ = try await dying.enroll(join(id, "ann"))
                        _ = try await dying.enroll(join(id, "bob"))
                        _ = try await one.enroll(join(id, "cyd"))
                    }
                    try await database.withStore("n2", adjust: quick) { _ in
                        try await waitUntil {
                            try await database.query("SELECT 1 FROM parley.members WHERE node = 'dying'").isEmpty
                        }
                    }
                }
                let members = try await database.query("SELECT client_id FROM parley.members")
                #expect(members.map { $0.text(0) } == ["cyd", "cyd"])
                let rosters = try await one.readRosters(rooms.map { RosterCursor(room: $0, seq: 0) })
                #expect(rosters.map(\.count) == [1, 1, 0])
                #expect(rosters.map(\.seq) == [5, 5, 0], "three joins and two leaves, none of them twice")
                let dead = try await database.query(
                    "SELECT dead_at IS NOT NULL, cleared_at IS NOT NULL FROM parley.node WHERE name = 'dying'")
                #expect(dead.map { $0.bool(0) && $0.bool(1) } == [true])
            }
        }
    }

    @Test("who came back to another node in time does not leave")
    func cameBack() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore("n1", adjust: quick) { one in
                _ = try await one.makeRoom("tea")
                try await database.withStore("gone", adjust: { $0.grace = .milliseconds(300) }) { gone in
                    _ = try await gone.enroll(join("tea", "ann"))
                    _ = try await gone.enroll(join("tea", "bob"))
                }
                _ = try await one.enroll(join("tea", "ann"))
                try await waitUntil {
                    try await database.query("SELECT 1 FROM parley.members WHERE client_id = 'bob'").isEmpty
                }
                let cleared = try await database.query(
                    "SELECT cleared_at IS NOT NULL FROM parley.node WHERE name = 'gone'")
                #expect(cleared.map { $0.bool(0) } == [true])
                let members = try await database.query("SELECT client_id FROM parley.members")
                #expect(members.map { $0.text(0) } == ["ann"])
            }
        }
    }

    @Test("a backend that hangs in a batch of a silent node is ended, and the node declared dead")
    func hangingBackend() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore("n1", adjust: quick) { _ in
                try await database.withStore("paused", adjust: silent) { paused in
                    let node = Parameter.int8(try unwrap(paused.nodeNumber))
                    // Holds one of the node's rows for as long as it is let.
                    let hanging = Task {
                        try await database.query(
                            """
                            WITH held AS MATERIALIZED (
                                SELECT 1 FROM parley.writer WHERE node_no = $1::int8 AND kind = 'log' FOR UPDATE
                            )
                            SELECT pg_sleep(60) FROM held
                            """, [node])
                    }
                    try await waitUntil {
                        try await !database.query(
                            """
                            UPDATE parley.writer w SET backend_pid = a.pid, backend_start = a.backend_start
                            FROM pg_stat_activity a
                            WHERE w.node_no = $1::int8 AND w.kind = 'roster' AND a.wait_event = 'PgSleep'
                                AND a.datname = current_database()
                            RETURNING 1
                            """, [node]
                        ).isEmpty
                    }
                    try await waitUntil {
                        try await !database.query(
                            "SELECT 1 FROM parley.node WHERE node_no = $1::int8 AND dead_at IS NOT NULL", [node]
                        ).isEmpty
                    }
                    await #expect(throws: PostgresError.self) { _ = try await hanging.value }
                }
            }
        }
    }
}
