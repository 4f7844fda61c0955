import ParleyCore
import TestPostgres
import Testing

@testable import ParleyPostgres

@Suite("Administration by SQL", .heavy)
struct AdministrationTests {
    @Test("a room that SQL has made is one that nodes write into; an id is made when none is given")
    func create() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let id = try await database.text(
                    #"SELECT parley.create_room('tea', '{"topic":"tea"}', retain_messages => 5, retain_seconds => 60)"#)
                #expect(id == "tea")
                #expect(try await store.add(["1"], to: try await store.number(of: "tea")) == .applied(base: 0))
                let room = try await database.query(
                    "SELECT meta::text, retain_messages, retain_seconds FROM parley.rooms WHERE room_id = 'tea'")
                #expect(room.first?.text(0) == #"{"topic":"tea"}"#)
                #expect(room.first?.int8(1) == 5 && room.first?.int8(2) == 60)
                let made = try await database.text("SELECT parley.create_room()")
                #expect(RoomID(made)?.text.utf8.count == 12)
                #expect(try await database.text("SELECT parley.create_room('tea', if_missing => true)") == "tea")
                for (state, arguments) in [
                    ("PY003", "'tea'"), ("PY004", "'a b'"), ("PY004", "''"), ("PY004", "'x', '[]'"),
                    ("PY004", "'x', retain_messages => 0"), ("PY004", "'x', retain_seconds => -1"),
                    ("PY004", "'x', retain_seconds => 3155760001"),
                    ("PY005", "'x', json_build_object('a', repeat('x', 9000))"),
                ] { try await database.expectRefusal(state, "SELECT parley.create_room(\(arguments))") }
                #expect(try await database.query("SELECT FROM parley.rooms WHERE room_id = 'x'").isEmpty)
            }
        }
    }

    @Test("a member that is removed leaves the roster by one step, and may join again with a higher claim")
    func remove() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let number = try await store.makeRoom("tea")
                let ann = try await store.enroll(join("tea", "ann"))
                let bob = try await store.enroll(join("tea", "bob"))
                let removed = "SELECT parley.remove_member('tea', 'ann')"
                #expect(try await database.query(removed).first?.bool(0) == true)
                #expect(try await database.query(removed).first?.bool(0) == false)
                let roster = try await store.readRosters([RosterCursor(room: number, seq: bob.rosterSeq)]).first
                #expect(roster?.seq == bob.rosterSeq + 1 && roster?.count == 1)
                #expect(roster?.changes.map(\.kind) == [RosterChange.Kind.left])
                #expect(roster?.changes.first?.member.clientID.text == "ann")
                let again = try await store.enroll(join("tea", "ann"))
                #expect(again.claim > ann.claim && again.count == 2)
                try await database.expectRefusal("PY001", "SELECT parley.remove_member('none', 'ann')")
                try await database.expectRefusal("PY004", "SELECT parley.remove_member('tea', NULL)")
            }
        }
    }

    @Test("a closed room takes nothing and nobody; a day later all of it is gone, and its id is free")
    func close() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let number = try await store.makeRoom("tea")
                _ = try await store.enroll(join("tea", "ann"))
                try await store.add(["1"], to: number)
                try await database.query("SELECT parley.publish('tea', '2', key => 'k')")
                try await database.query(#"SELECT parley.set_values('tea', '{"a":1}')"#)
                #expect(try await database.query("SELECT parley.close_room('tea')").first?.bool(0) == true)
                #expect(try await database.query("SELECT parley.close_room('tea')").first?.bool(0) == false)
                #expect(try await store.add(["3"], to: number) == .gone)
                await #expect(throws: StoreError.roomNotFound) { try await store.enroll(join("tea", "bob")) }
                #expect(try await database.query("SELECT FROM parley.members").isEmpty)
                for call in [
                    "publish('tea', '1')", "set_values('tea', '{}')", "remove_member('tea', 'ann')",
                    "set_retention('tea', 1)", "create_room('tea', if_missing => true)",
                ] { try await database.expectRefusal("PY002", "SELECT parley.\(call)") }
                try await database.expectRefusal("PY003", "SELECT parley.create_room('tea')")

                #expect(try await database.number("SELECT parley.prune()") == 0)
                try await database.query("UPDATE parley.room SET closed_at = now() - interval '25 hours'")
                #expect(try await database.number("SELECT parley.prune()") == 3)
                for table in ["room", "update_log", "member", "room_value", "idempotency"] {
                    #expect(try await database.query("SELECT FROM parley.\(table)").isEmpty, "\(table)")
                }
                try await database.makeRooms("tea")
            }
        }
    }

    @Test("a rule for a room that is there is what is pruned by, and prune does it at once")
    func retention() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRooms("tea", "cup")
            for room in ["tea", "cup"] {
                for _ in 1...5 { try await database.query("SELECT parley.publish($1::text, '1')", [.text(room)]) }
            }
            try await database.query("UPDATE parley.update_log SET at = at - interval '2 minutes'")
            try await database.query("SELECT parley.publish('tea', '6')")
            #expect(try await database.number("SELECT parley.prune()") == 0, "no room has a rule")
            try await database.query("SELECT parley.set_retention('tea', messages => 3)")
            #expect(try await database.number("SELECT parley.prune('cup')") == 0)
            #expect(try await database.number("SELECT parley.prune('tea')") == 3)
            #expect(try await database.number("SELECT first_seq FROM parley.rooms WHERE room_id = 'tea'") == 4)
            try await database.query("SELECT parley.set_retention('tea', seconds => 1)")
            #expect(try await database.number("SELECT parley.prune()") == 2, "what is young stays")
            try await database.query("SELECT parley.set_retention('tea')")
            #expect(try await database.number("SELECT parley.prune()") == 0)
            try await database.expectRefusal("PY004", "SELECT parley.set_retention('tea', 0)")
            try await database.expectRefusal("PY001", "SELECT parley.prune('none')")
        }
    }

    @Test("each function has a comment; one that runs as its owner takes no type of the caller, and nobody has it")
    func functions() async throws {
        try await ScratchDatabase.use { database in
            let rows = try await database.query(
                """
                SELECT p.oid::regprocedure::text, obj_description(p.oid, 'pg_proc') IS NOT NULL, p.prosecdef,
                    p.proconfig @> '{"search_path=pg_catalog, pg_temp"}',
                    has_function_privilege('public', p.oid, 'EXECUTE')
                FROM pg_proc p
                WHERE p.pronamespace = 'parley'::regnamespace
                """)
            #expect(rows.count > 20)
            for row in rows {
                #expect(row.bool(1), "\(row.text(0)) has no comment")
                guard row.bool(2) else { continue }
                #expect(row.boolOrNil(3) == true, "\(row.text(0)) has another search path")
                #expect(!row.bool(4), "everybody may call \(row.text(0))")
            }
        }
    }

    @Test("a type that the caller has put in the way is not taken for PostgreSQL's")
    func ownTypes() async throws {
        try await ScratchDatabase.use { database in
            let role = "caller_\(UInt32.random(in: .min ... .max))"
            try await database.makeRooms("tea")
            try await database.run(
                """
                CREATE ROLE \(role) LOGIN;
                GRANT USAGE ON SCHEMA parley TO \(role);
                GRANT EXECUTE ON FUNCTION parley.publish(text, json, text, text) TO \(role);
                """)
            let caller = ScratchDatabase(url: database.url + (database.url.contains("?") ? "&" : "?") + "user=\(role)")
            // Used to run as the owner of the function.
            try await caller.run(
                """
                CREATE FUNCTION pg_temp.trap(value pg_catalog.text) RETURNS boolean LANGUAGE plpgsql AS $$
                BEGIN
                    RAISE EXCEPTION 'ran as %', current_user;
                END $$;
                CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (pg_temp.trap(value));
                SELECT parley.publish('tea', '1');
                """)
            #expect(try await database.log(of: "tea").isGapless)
            try await database.run("DROP OWNED BY \(role); DROP ROLE \(role)")
        }
    }

    @Test("nodes drop rooms that were closed a day ago, a part at a time, and keys that are over; nothing younger")
    func dropOver() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore(adjust: { $0.pruneEvery = .seconds(3_600) }) { store in
                store.detour.start()
                try await database.makeRooms("old", "young", "open")
                for room in ["old", "young", "open"] {
                    try await database.query(
                        """
                        SELECT count(parley.publish('\(room)', to_json(n), key => 'k' || n))
                        FROM generate_series(1, 600) n
                        """)
                }
                try await database.query("SELECT parley.close_room('old'), parley.close_room('young')")
                #expect(try await !store.pruner.dropOver(), "nothing is over")
                try await database.run(
                    """
                    UPDATE parley.room SET closed_at = now() - interval '25 h' WHERE room_id = 'old';
                    UPDATE parley.idempotency k SET kept_until = now() - interval '1 s'
                    FROM parley.room r WHERE r.room_no = k.room_no AND r.room_id = 'open' AND k.key <> 'k7'
                    """)
                var rounds = 0
                while try await store.pruner.dropOver() { rounds += 1 }
                #expect(rounds > 1, "a bounded part in each")
                #expect(try await database.number("SELECT count(*) FROM parley.room WHERE room_id = 'old'") == 0)
                #expect(try await database.number("SELECT count(*) FROM parley.update_log") == 1_200)
                #expect(try await database.number("SELECT count(*) FROM parley.idempotency") == 601)
                #expect(try await database.text("SELECT parley.create_room('old')") == "old", "its id is free again")
                #expect(try await database.query("SELECT parley.publish('open', '7', key => 'k7')").first?.int8(0) == 7)
            }
        }
    }
}
