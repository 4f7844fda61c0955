import ParleyCore
import TestPostgres
import Testing

@testable import ParleyPostgres

/// The questions of whoever runs a cluster.
@Suite("Operators' views", .heavy)
struct OperatorsViewTests {
    @Test("traffic is that of the last minute, of open rooms, also when older chunks were pruned")
    func traffic() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRooms("busy", "quiet", "pruned", "closed")
            try await database.run(
                """
                SELECT count(parley.publish(room, to_json(n)))
                FROM generate_series(1, 10) n, unnest('{busy,pruned,quiet,closed}'::text[]) room;
                SELECT parley.publish_many('busy', array_fill('1'::json, ARRAY[100]));
                SELECT parley.close_room('closed');
                UPDATE parley.update_log u SET at = now() - interval '61 s'
                FROM parley.room r
                WHERE r.room_no = u.room_no AND (u.last_seq <= 4 AND room_id = 'busy' OR room_id = 'quiet');
                DELETE FROM parley.update_log u USING parley.room r
                WHERE r.room_no = u.room_no AND u.last_seq <= 3 AND room_id = 'pruned';
                UPDATE parley.room SET first_seq = 4 WHERE room_id = 'pruned';
                """)
            let rows = try await database.query(
                """
                SELECT room_id, changes_last_minute, batches_last_minute, bytes_last_minute > 0, last_change_at > now() - interval '1 minute'
                FROM parley.room_traffic ORDER BY 2 DESC
                """)
            #expect(rows.map { $0.text(0) } == ["busy", "pruned", "quiet"])
            #expect(rows.map { $0.int8(1) } == [106, 7, 0])
            #expect(rows.map { $0.int8(2) } == [7, 7, 0])
            #expect(rows.map { $0.bool(3) } == [true, true, false] && rows.map { $0.bool(4) } == [true, true, false])
        }
    }

    @Test("the traffic of a room is found from the end of its log, however long that is")
    func trafficPlan() async throws {
        try await ScratchDatabase.use { database in
            try await database.run(
                """
                INSERT INTO parley.room (room_id, tag, last_seq) SELECT 'r' || n, 0, 100 FROM generate_series(1, 200) n;
                INSERT INTO parley.update_log (room_no, last_seq, first_seq, tag, body, at)
                SELECT room_no, s, s, 0, '{"message":1}', now() - interval '1 day' FROM parley.room, generate_series(1, 100) s;
                ANALYZE parley.room, parley.update_log;
                """)
            let plan = try await database.query("EXPLAIN SELECT * FROM parley.room_traffic").map { $0.text(0) }
            #expect(!plan.contains { $0.contains("Seq Scan on update_log") }, "\(plan.joined(separator: "\n"))")
        }
    }

    @Test("who is where: members with their node, rooms by node, nodes with the age of their lease")
    func places() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore("blue") { blue in
                try await database.withStore("green") { green in
                    _ = try await blue.makeRoom("tea")
                    for client in ["ann", "bob"] { _ = try await blue.enroll(join("tea", client)) }
                    _ = try await green.enroll(join("tea", "cyd"))
                    let places = try await database.query(
                        "SELECT node, members, alive FROM parley.room_nodes WHERE room_id = 'tea' ORDER BY node")
                    #expect(places.map { $0.text(0) } == ["blue", "green"] && places.map { $0.int8(1) } == [2, 1])
                    #expect(places.allSatisfy { $0.bool(2) })
                    let members = try await database.query(
                        "SELECT client_id FROM parley.members m WHERE node_no = \(try unwrap(green.nodeNumber))")
                    #expect(members.map { $0.text(0) } == ["cyd"])
                    let nodes = try await database.query(
                        "SELECT lease_age BETWEEN '0' AND '5 s', lag IS NULL OR lag < '1 s' FROM parley.nodes")
                    #expect(nodes.map { $0.bool(0) && $0.bool(1) } == [true, true])
                }
            }
        }
    }

    @Test("a node's lag is how long the oldest of its writing transactions has been running")
    func lag() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore(adjust: { ($0.lockTimeoutMin, $0.lockTimeout) = (.seconds(5), .seconds(5)) }) {
                store in
                let room = try await store.makeRoom("tea")
                try await database.holding("SELECT 1 FROM parley.room FOR UPDATE") {
                    let writing = Task { try await store.add(["1"], to: room) }
                    try await waitUntil {
                        try await database.query("SELECT FROM parley.nodes WHERE lag > '200 ms'").count == 1
                    }
                    let lag = try await database.query("SELECT waiting_pids <> '{}' FROM parley.room_locks")
                    #expect(lag.map { $0.bool(0) } == [true], "the node waits for the room")
                    writing.cancel()
                    _ = try? await writing.value
                }
            }
        }
    }

    @Test("sizes are of each room's log and values, without unpacking what is compressed")
    func sizes() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRooms("large", "small")
            try await database.run(
                """
                SELECT parley.publish_many('large', array_fill(to_json(repeat('tea ', 1000)), ARRAY[20]));
                SELECT parley.set_values('small', '{"cups":12}');
                """)
            let rows = try await database.query(
                "SELECT room_id, changes, text_bytes, bytes, values_bytes FROM parley.room_sizes ORDER BY bytes DESC")
            #expect(rows.map { $0.text(0) } == ["large", "small"] && rows.map { $0.int8(1) } == [20, 1])
            let large = try unwrap(rows.first)
            #expect(large.int8(2) > 80_000 && large.int8(3) < 20_000, "compressed")
            #expect(rows.map { $0.int8(4) } == [0, 6])
        }
    }

    @Test("who holds a room is named with those who wait, whether it was changed or only locked, and no other room is")
    func locks() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRooms("held", "written", "free")
            #expect(try await database.query("SELECT FROM parley.room_locks").isEmpty)
            try await database.holding("SELECT 1 FROM parley.room WHERE room_id = 'held' FOR NO KEY UPDATE") {
                try await database.holding("SELECT parley.publish('written', '1')") {
                    let waiting = Task { _ = try? await database.query("SELECT parley.publish('held', '2')") }
                    try await waitUntil {
                        try await database.query("SELECT FROM parley.room_locks WHERE waiting_pids <> '{}'").count == 1
                    }
                    let rows = try await database.query(
                        """
                        SELECT room_id, pid <> pg_backend_pid() AND state = 'active' AND held_for < '1 min', query,
                            cardinality(waiting_pids)::int8
                        FROM parley.room_locks ORDER BY room_id
                        """)
                    #expect(rows.map { $0.text(0) } == ["held", "written"])
                    #expect(rows.allSatisfy { $0.bool(1) && $0.text(2).contains("pg_sleep") })
                    #expect(rows.map { $0.int8(3) } == [1, 0])
                    waiting.cancel()
                    await waiting.value
                }
            }
            #expect(try await database.query("SELECT FROM parley.room_locks").isEmpty)
        }
    }

    @Test("the queue of notifications is shown with its listeners and the oldest transaction")
    func queue() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let feed = NotifyFeed(store: store, localRooms: { [] })
                let running = Task { await feed.run { _ in } }
                try await waitUntil {
                    try await database.number("SELECT listeners FROM parley.notify_queue") == 1
                }
                try await database.holding("SELECT 1") {
                    let row = try unwrap(
                        try await database.query(
                            "SELECT usage >= 0 AND usage < 1, oldest_pid IS NOT NULL, oldest_age > '0' FROM parley.notify_queue"
                        ).first)
                    #expect(row.bool(0) && row.bool(1) && row.bool(2))
                }
                running.cancel()
                await running.value
            }
        }
    }
}
