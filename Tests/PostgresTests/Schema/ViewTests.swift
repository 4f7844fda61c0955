import ParleyCore
import TestPostgres
import Testing

@testable import ParleyPostgres

/// What people see with psql.
@Suite("Views", .heavy)
struct ViewTests {
    @Test("each table, view and type has a comment, and each of their columns")
    func comments() async throws {
        try await ScratchDatabase.use { database in
            let columns = try await database.query(
                """
                SELECT c.relname::text, a.attname::text
                FROM pg_class c
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                WHERE c.relnamespace = 'parley'::regnamespace AND c.relkind IN ('r', 'v', 'c')
                    AND col_description(c.oid, a.attnum) IS NULL
                """)
            for row in columns { Issue.record("\(row.text(0)).\(row.text(1)) has no comment") }
            let others = try await database.query(
                """
                SELECT c.relname::text FROM pg_class c
                WHERE c.relnamespace = 'parley'::regnamespace AND c.relkind IN ('r', 'v')
                    AND obj_description(c.oid, 'pg_class') IS NULL
                UNION ALL
                SELECT t.typname::text FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
                WHERE t.typnamespace = 'parley'::regnamespace
                    AND (t.typtype = 'd' OR t.typtype = 'c' AND c.relkind = 'c')
                    AND obj_description(t.oid, 'pg_type') IS NULL
                """)
            for row in others { Issue.record("\(row.text(0)) has no comment") }
            let views = try await database.query(
                "SELECT FROM pg_class WHERE relnamespace = 'parley'::regnamespace AND relkind = 'v'")
            #expect(views.count >= 12)
        }
    }

    @Test("parley.messages has room_id, seq, client_id, message, at, in this order")
    func columns() async throws {
        try await ScratchDatabase.use { database in
            let rows = try await database.query(
                """
                SELECT attname::text FROM pg_attribute WHERE attrelid = 'parley.messages'::regclass AND attnum > 0
                ORDER BY attnum
                """)
            #expect(rows.map { $0.text(0) } == ["room_id", "seq", "client_id", "message", "at"])
        }
    }

    @Test("a message is shown byte by byte as it was sent, whatever it holds; a change of another kind is left out")
    func bytes() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let room = try await store.makeRoom("tea")
                let payloads = [
                    #"{"text":"O'Brien said \"hi\"; DROP TABLE parley.room; --"}"#, #""Grüße 👩‍👩‍👧 \ud83d\ude00""#,
                    "{ \"b\" : 1,\t\"a\":1.0e2, \"a\": 2 }", "null", "\"\(String(repeating: "x", count: 30_000))\"",
                    String(repeating: "[", count: 100) + String(repeating: "]", count: 100),
                    "1234567890.123456789012345678901234567890",
                ]
                try await store.add(payloads, to: room)
                let set = #"{"clientId":"ann","at":1732350000123,"set":{"score":3}}"#
                let anonymous = #"{"at":1732350000123,"message":"by SQL"}"#
                let kinds = [set, anonymous].joined(separator: ",")
                _ = try await store.append([
                    Append(room: room, claim: 0, count: 2, tag: 1, body: Array(kinds.utf8))
                ])
                let rows = try await database.query(
                    "SELECT seq, client_id, message::text FROM parley.messages WHERE room_id = 'tea' ORDER BY seq")
                #expect(rows.map { $0.int8(0) } == Array(1...7) + [9])
                #expect(rows.map { $0.text(2) } == payloads + ["\"by SQL\""])
                #expect(rows.map { $0.textOrNil(1) } == Array(repeating: "ann", count: 7) + [nil])
            }
        }
    }

    @Test("the messages of one room are found by the log's key, not by reading all of it")
    func plan() async throws {
        try await ScratchDatabase.use { database in
            try await database.run(
                """
                INSERT INTO parley.room (room_id, tag) SELECT 'r' || n, 0 FROM generate_series(1, 2000) n;
                INSERT INTO parley.update_log (room_no, last_seq, first_seq, tag, body)
                SELECT room_no, s, s, 0, '{"message":1}' FROM parley.room, generate_series(1, 5) s;
                ANALYZE parley.room, parley.update_log;
                """)
            let plan = try await database.query(
                "EXPLAIN SELECT * FROM parley.messages WHERE room_id = 'r7' ORDER BY seq DESC LIMIT 20"
            ).map { $0.text(0) }.joined(separator: "\n")
            #expect(!plan.contains("Seq Scan on update_log"), "\(plan)")
            #expect(!plan.contains("Seq Scan on room"), "\(plan)")
        }
    }

    @Test("rooms, members, nodes and sessions show who is there")
    func people() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore("blue") { store in
                _ = try await store.makeRoom("tea")
                _ = try await store.enroll(join("tea", "ann", profile: #"{"name":"Ann"}"#))
                let members = try await database.query(
                    "SELECT room_id, client_id, profile::text, node FROM parley.members")
                #expect(members.map { (0...3).map($0.text) } == [["tea", "ann", #"{"name":"Ann"}"#, "blue"]])
                let rooms = try await database.query("SELECT room_id, last_seq, members::int8 FROM parley.rooms")
                #expect(rooms.map { $0.text(0) } == ["tea"] && rooms.map { $0.int8(2) } == [1])
                let nodes = try await database.query("SELECT name, alive FROM parley.nodes")
                #expect(nodes.map { $0.text(0) } == ["blue"] && nodes.map { $0.bool(1) } == [true])
                let sessions = try await database.query("SELECT client_id, rooms::int8 FROM parley.sessions")
                #expect(sessions.map { $0.text(0) } == ["ann"] && sessions.map { $0.int8(1) } == [1])
            }
            let nodes = try await database.query("SELECT alive FROM parley.nodes")
            #expect(nodes.map { $0.bool(0) } == [false], "a node that has signed off is not alive")
        }
    }
}
