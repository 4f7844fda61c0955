import ParleyCore
import TestPostgres
import Testing

@testable import ParleyPostgres

@Suite("Publishing by SQL", .heavy)
struct PublishTests {
    @Test("a message stands in the log byte by byte as a node writes it, with a client and without")
    func bytes() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRooms("tea")
            #expect(try await database.number(#"SELECT parley.publish('tea', '{ "b" : 1,"a":1.0e2, "a": 2 }')"#) == 1)
            #expect(try await database.number(#"SELECT parley.publish('tea', ' "Grüße" ', client => 'ann')"#) == 2)
            #expect(try await database.number("SELECT parley.publish('tea', 'null')") == 3)
            let bodies = try await database.log(of: "tea").chunks.map(\.body)
            let stamp = #/"at":[0-9]{13}/#
            #expect(
                bodies.map { $0.replacing(stamp, with: #""at":0"#) } == [
                    #"{"at":0,"message":{ "b" : 1,"a":1.0e2, "a": 2 }}"#,
                    #"{"clientId":"ann","at":0,"message":"Grüße"}"#, #"{"at":0,"message":null}"#,
                ])
            #expect(ChangeHead(Array(bodies[1].utf8)) == ChangeHead(Array(#"{"clientId":"ann"}"#.utf8)))
            #expect(ChangeHead(Array(bodies[0].utf8)) == nil)
        }
    }

    @Test("a transaction that is rolled back leaves neither a message nor a gap, and so does a savepoint")
    func rollback() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRooms("tea")
            try await database.run("CREATE TABLE orders (id int)")
            try await database.run(
                """
                BEGIN; INSERT INTO orders VALUES (1); SELECT parley.publish('tea', '"no"'); ROLLBACK;
                BEGIN; SAVEPOINT a;
                INSERT INTO orders VALUES (2); SELECT parley.publish('tea', '"no"'); ROLLBACK TO a;
                INSERT INTO orders VALUES (3); SELECT parley.publish('tea', '"yes"');
                COMMIT;
                """)
            let log = try await database.log(of: "tea")
            #expect(log.isGapless && log.chunks.count == 1 && log.chunks[0].body.contains(#""yes""#))
            #expect(try await database.number("SELECT sum(id)::int8 FROM orders") == 3)
        }
    }

    @Test("a deferred trigger publishes what is committed, in the order of the changes")
    func trigger() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRooms("orders")
            try await database.run(
                """
                CREATE TABLE orders (id int PRIMARY KEY, state text);
                CREATE FUNCTION publish_order() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    PERFORM parley.publish('orders', to_json(NEW));
                    RETURN NULL;
                END $$;
                CREATE CONSTRAINT TRIGGER publish_order AFTER INSERT OR UPDATE ON orders
                    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION publish_order();
                BEGIN; INSERT INTO orders VALUES (1, 'new'); UPDATE orders SET state = 'paid'; COMMIT;
                BEGIN; INSERT INTO orders VALUES (2, 'new'); ROLLBACK;
                """)
            let rows = try await database.query("SELECT message::text FROM parley.messages('orders')")
            #expect(rows.map { $0.text(0) } == [#"{"id":1,"state":"new"}"#, #"{"id":1,"state":"paid"}"#])
        }
    }

    @Test("sessions that publish into the same rooms in opposite orders, and a node beside them: no deadlock, no gap")
    func opposite() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let room = try await store.makeRoom("a")
                try await database.makeRooms("b", "c")
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for rooms in ["a,b,c", "c,b,a", "b,a", "a,c"] {
                        group.addTask {
                            // Each call is a transaction of its own.
                            for _ in 1...25 {
                                try await database.query(
                                    """
                                    SELECT parley.publish_to_rooms(r, array_fill('1'::json, ARRAY[cardinality(r)]))
                                    FROM string_to_array($1::text, ',') r
                                    """, [.text(rooms)])
                            }
                        }
                    }
                    group.addTask {
                        for _ in 1...50 { while try await store.add(["1", "2"], to: room) == .locked {} }
                    }
                    try await group.waitForAll()
                }
                let log = try await database.log(of: "a")
                #expect(log.isGapless && log.chunks.last?.last == 4 * 25 + 2 * 50)
                for (id, count) in [("b", 75), ("c", 75)] {
                    let log = try await database.log(of: id)
                    #expect(log.isGapless && log.chunks.count == count)
                }
            }
        }
    }

    @Test("a key makes a repeat return the first place, also of many and by eight at once; other content is refused")
    func key() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRooms("tea", "cup")
            let places = try await withThrowingTaskGroup(of: Int64.self) { group in
                for _ in 1...8 {
                    group.addTask { try await database.number("SELECT parley.publish('tea', '1', key => 'k')") }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(places == Array(repeating: 1, count: 8))
            try await database.expectRefusal("PY007", "SELECT parley.publish('tea', '2', key => 'k')")
            try await database.expectRefusal("PY007", "SELECT parley.publish('tea', '1', client => 'ann', key => 'k')")
            #expect(try await database.number("SELECT parley.publish('cup', '1', key => 'k')") == 1, "another room")

            let many = "SELECT room_id, seq FROM parley.publish_to_rooms('{tea,cup,tea}', '{1,2,3}', key => 'many')"
            for _ in 1...2 {
                let rows = try await database.query(many)
                #expect(rows.map { $0.text(0) } == ["tea", "cup", "tea"] && rows.map { $0.int8(1) } == [2, 2, 3])
            }
            let other = "SELECT parley.publish_to_rooms('{tea,cup}', '{1,2}', key => 'many')"
            try await database.expectRefusal("PY007", other)
            #expect(try await database.log(of: "tea").isGapless)
        }
    }

    @Test("a key is free again after a rollback, and after its time; what is over goes with the next key")
    func freeKey() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRooms("tea")
            try await database.run("BEGIN; SELECT parley.publish('tea', '1', key => 'k'); ROLLBACK;")
            #expect(try await database.number("SELECT parley.publish('tea', '1', key => 'k')") == 1)
            #expect(try await database.number("SELECT parley.publish('tea', '1', key => 'other')") == 2)
            try await database.query("UPDATE parley.idempotency SET kept_until = now() - interval '1 s'")
            #expect(try await database.number("SELECT parley.publish('tea', '2', key => 'k')") == 3)
            #expect(try await database.text("SELECT string_agg(key, ' ') FROM parley.idempotency") == "k")
        }
    }

    @Test("many messages are one chunk as long as they fit one, and follow each other without gap when they do not")
    func many() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRooms("tea")
            let small = "ARRAY(SELECT to_json(n) FROM generate_series(1, 50) n)"
            #expect(try await database.number("SELECT parley.publish_many('tea', \(small), client => 'ann')") == 1)
            #expect(try await database.log(of: "tea").chunks.map(\.last) == [50])
            let large = "ARRAY(SELECT to_json(repeat('x', 32766)) FROM generate_series(1, 40))"
            #expect(try await database.number("SELECT parley.publish_many('tea', \(large))") == 51)
            let log = try await database.log(of: "tea")
            #expect(log.isGapless && log.chunks.last?.last == 90)
            #expect(log.chunks.allSatisfy { $0.body.utf8.count <= Limits.chunkBytesMax })
            let none = try await database.query("SELECT parley.publish_many('tea', '{}')")
            #expect(none.first?.isNull(0) == true)
        }
    }

    @Test("whatever is not allowed is refused with a code and a hint, and nothing of the call is done")
    func refusals() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRooms("tea", "cup")
            try await database.query("SELECT parley.close_room('cup')")
            for (state, call) in [
                ("PY001", "publish('none', '1')"), ("PY002", "publish('cup', '1')"), ("PY004", "publish(NULL, '1')"),
                ("PY004", "publish('tea', NULL)"), ("PY004", "publish('tea', '1', client => 'a b')"),
                ("PY004", "publish('tea', '1', client => '..')"), ("PY004", "publish('tea', '1', key => '')"),
                ("PY004", "publish('tea', '1', key => repeat('k', 256))"),
                ("PY005", "publish('tea', to_json(repeat('x', 32767)))"),
                ("PY004", #"publish('tea', '"\u0000"')"#), ("PY004", #"publish('tea', '"\ud83d"')"#),
                ("PY004", #"publish('tea', '"\ude00"')"#), ("PY004", "publish('tea', '1e309')"),
                ("PY004", "publish('tea', '[-1e-400]')"),
                ("PY004", "publish('tea', ('0.' || repeat('1', 63))::json)"),
                ("PY004", "publish('tea', (repeat('[', 101) || repeat(']', 101))::json)"),
                ("PY004", "publish_many('tea', NULL)"), ("PY004", "publish_many('tea', '{1,NULL}')"),
                ("PY001", "publish_many('none', '{1}')"),
                ("PY005", "publish_many('tea', ARRAY['1', to_json(repeat('x', 32767))])"),
                ("PY004", "publish_to_rooms('{tea}', '{1,2}')"), ("PY004", "publish_to_rooms('{tea,NULL}', '{1,2}')"),
                ("PY001", "publish_to_rooms('{tea,none}', '{1,2}')"),
                ("PY002", "publish_to_rooms('{tea,cup}', '{1,2}')"),
            ] { try await database.expectRefusal(state, "SELECT parley.\(call)") }
            await #expect(throws: PostgresError.self) { try await database.query("SELECT parley.publish('tea', '{x')") }
        }
    }

    @Test("what only looks as if it were not allowed is published")
    func lookalikes() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRooms("tea")
            for message in [
                #"'"\\u0000"'"#, #"'"\ud83d\ude00"'"#, #"'"1e400"'"#, "'1e308'", "'0e999'",
                "('0.' || repeat('1', 62))::json", "to_json(repeat('9', 100))", "to_json(repeat('[', 300))",
                "(repeat('[', 100) || repeat(']', 100))::json", "to_json(repeat('x', 32766))",
                #"'["\"[[[", {"a\\":[]}]'"#,
            ] { try await database.query("SELECT parley.publish('tea', \(message))") }
            #expect(try await database.log(of: "tea").isGapless)
        }
    }

    @Test("a transaction that publishes is durable, whatever the session's default is; the next one is as before")
    func durable() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRooms("tea")
            try await database.run(
                """
                CREATE TABLE seen (at int, value text);
                SET synchronous_commit = off;
                BEGIN; SELECT parley.publish('tea', '1');
                INSERT INTO seen SELECT 1, current_setting('synchronous_commit'); COMMIT;
                INSERT INTO seen SELECT 2, current_setting('synchronous_commit');
                """)
            #expect(try await database.text("SELECT string_agg(value, ' ' ORDER BY at) FROM seen") == "on off")
        }
    }
}
