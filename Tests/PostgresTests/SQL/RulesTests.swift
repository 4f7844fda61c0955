import ParleyCore
import TestPostgres
import Testing

@testable import ParleyPostgres

/// Rules: SQL functions that judge what sockets say.
@Suite("Rules", .heavy)
struct RulesTests {
    @Test("a rule accepts, changes, refuses and sets values; each input sees what the one before has left")
    func judging() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRule(
                "counter",
                """
                CASE text
                    WHEN 'no' THEN RETURN parley.refuse('not that');
                    WHEN 'as it is' THEN RETURN NULL;
                    WHEN 'loud' THEN RETURN parley.accept(message => '"LOUD"');
                    WHEN 'reset' THEN RETURN parley.accept(set => '{"count":null}');
                    ELSE RETURN parley.accept(
                        set => json_build_object('count', COALESCE((shared ->> 'count')::integer, 0) + 1));
                END CASE;
                """)
            try await database.withStore(adjust: patient) { store in
                let room = try await store.makeRoom("tea", rule: "counter")
                let inputs = [#""up""#, #""no""#, #""as it is""#, #""loud""#, #""up""#]
                let outcome = try unwrap(try await store.append([ruled(inputs, in: room)]).first)
                #expect(outcome.letters == "rxarr" && outcome.reasons == ["not that"])
                #expect(try await database.values(of: "tea") == ["count": "2"])
                #expect(try await database.messages(of: "tea") == [#""up""#, #""as it is""#, #""LOUD""#, #""up""#])
                let log = try await database.log(of: "tea")
                #expect(log.isGapless && log.chunks.count == 1)
                #expect(
                    log.chunks[0].body.hasPrefix(
                        #"{"clientId":"ann","id":1,"at":1732350000123,"message":"up","set":{"count" : 1}},"#))
                #expect(try await database.number("SELECT seq FROM parley.room_values") == 4)
                #expect(try await database.text("SELECT refused FROM parley.update_log") == "ann=2")

                let second = try await store.append([ruled([#""reset""#, #""up""#, #""reset""#], in: room, from: 6)])
                #expect(second.map(\.letters) == ["rrr"])
                #expect(try await database.values(of: "tea") == [:])
                for (seq, values) in [
                    (1, #"{"count":1}"#), (4, #"{"count":2}"#), (5, "{}"), (6, #"{"count":1}"#), (7, "{}"),
                ] {
                    #expect(try await database.text("SELECT parley.values_at('tea', \(seq))::text") == values)
                }
            }
        }
    }

    @Test("a rule that judges many at once is called once for a room and batch, sees who sent what, and the values")
    func batched() async throws {
        try await ScratchDatabase.use { database in
            try await database.run("CREATE TABLE public.call (inputs integer, shared jsonb)")
            try await database.makeBatchRule(
                "odd",
                """
                INSERT INTO call VALUES (cardinality(inputs), shared);
                RETURN ARRAY(
                    SELECT CASE
                        WHEN i.client = 'bob' THEN parley.refuse('not you, ' || COALESCE(i.user_id, 'nobody'))
                        WHEN i.ix = 1 THEN parley.accept(set => '{"first":true}')
                        ELSE parley.accept() END
                    FROM unnest(inputs) WITH ORDINALITY i(client, user_id, message, set, ix) ORDER BY i.ix);
                """)
            try await database.withStore(adjust: patient) { store in
                let room = try await store.makeRoom("tea", rule: "odd")
                let first = try await store.append([ruled(["1", "bob>2", #"set {"k":[1]}"#, "4"], in: room)])
                #expect(first.map(\.letters) == ["rxaa"] && first.first?.reasons == ["not you, nobody"])
                _ = try await store.append([ruled(["5", "6"], in: room, from: 5)])
                let calls = try await database.query("SELECT inputs, shared::text FROM public.call")
                #expect(calls.map { $0.int4(0) } == [4, 2])
                #expect(calls.map { $0.text(1) } == ["{}", #"{"k": [1], "first": true}"#])
                #expect(try await database.values(of: "tea") == ["first": "true", "k": "[1]"])
                #expect(try await database.log(of: "tea").isGapless)
            }
        }
    }

    @Test("what a condition names is looked at before the rule, in the order of the inputs")
    func conditions() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRule("open", "RETURN NULL;")
            try await database.withStore(adjust: patient) { store in
                let room = try await store.makeRoom("tea", rule: "open")
                let key = ValueSet.Key(json: Array(#""k""#.utf8), text: "k")
                func set(_ value: String, ifAt seq: Seq?) -> JudgedInput {
                    JudgedInput(
                        change: Array(#"{"clientId":"ann","at":1,"set":{"k":\#(value)}}"#.utf8),
                        set: ValueSet(values: [(key, Array(value.utf8))], condition: seq.map { [(key, $0)] }))
                }
                let inputs = [set("1", ifAt: 0), set("2", ifAt: 0), set("3", ifAt: 1), set("4", ifAt: nil)]
                let outcome = try await store.append([
                    Append(room: room, claim: 0, count: 4, tag: 1, body: [], judged: inputs, isRuled: true)
                ])
                #expect(outcome.map(\.letters) == ["acaa"])
                #expect(try await database.values(of: "tea") == ["k": "4"])
            }
        }
    }

    @Test(
        "an input on which the rule fails is refused alone, what the rule wrote for it is undone, and the database's log says why"
    )
    func failing() async throws {
        try await ScratchDatabase.use { database in
            try await database.run("CREATE TABLE public.seen (text text)")
            try await database.makeRule(
                "fragile",
                """
                INSERT INTO seen VALUES (text);
                CASE text
                    WHEN 'raise' THEN RAISE EXCEPTION 'secret of the database';
                    WHEN 'divide' THEN PERFORM 1 / 0;
                    WHEN 'assert' THEN ASSERT false;
                    WHEN 'no object' THEN RETURN parley.accept(set => '[]');
                    WHEN 'twice' THEN RETURN parley.accept(set => '{"a":1,"a":2}');
                    WHEN 'nul' THEN RETURN parley.accept(message => '"\\u0000"');
                    WHEN 'long' THEN RETURN parley.accept(message => to_json(repeat('x', 32768)));
                    WHEN 'many values' THEN RETURN parley.accept(set => json_build_object('v', repeat('x', 40000)));
                    WHEN 'more values' THEN RETURN parley.accept(set => json_build_object('w', repeat('x', 40000)));
                    WHEN 'itself' THEN PERFORM parley.publish(room, '"from inside"');
                    ELSE NULL;
                END CASE;
                RETURN NULL;
                """)
            try await database.withStore(adjust: patient) { store in
                let room = try await store.makeRoom("tea", rule: "fragile")
                let other = try await store.makeRoom("cake", rule: "fragile")
                let bad = ["raise", "divide", "assert", "no object", "twice", "nul", "long", "more values", "itself"]
                let inputs = ["many values"] + bad + ["fine too"]
                let outcomes = try await store.append([
                    ruled(inputs.map { "\"\($0)\"" }, in: room), ruled([#""good""#], in: other),
                ])
                #expect(outcomes.map(\.letters) == ["rxxxxxxxtxa", "a"])
                #expect(Set(outcomes[0].reasons) == ["the room's rule failed"], "nothing of what the database says")
                #expect(try await database.messages(of: "tea") == [#""many values""#, #""fine too""#])
                let seen = try await database.query("SELECT text FROM public.seen ORDER BY text").map { $0.text(0) }
                #expect(seen == ["fine too", "good", "many values"])
                let refused = try await database.text("SELECT refused FROM parley.update_log WHERE refused IS NOT NULL")
                #expect(refused == (2...10).map { "ann=\($0)" }.joined(separator: " "))
                #expect(try await database.log(of: "tea").isGapless)
            }
        }
    }

    @Test("a rule that gives too few rulings, or is gone, refuses its own room and no other")
    func broken() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeBatchRule("short", "RETURN ARRAY[parley.accept()]::parley.ruling[];")
            try await database.makeRule("gone", "RETURN NULL;")
            try await database.makeRule("invoker", "RETURN NULL;")
            try await database.run(
                """
                DROP FUNCTION public.gone;
                ALTER FUNCTION public.invoker SECURITY INVOKER;
                """)
            try await database.withStore(adjust: patient) { store in
                let short = try await store.makeRoom("short", rule: "short")
                let gone = try await store.makeRoom("gone", rule: "gone")
                let invoker = try await store.makeRoom("invoker", rule: "invoker")
                let plain = try await store.makeRoom("plain")
                let outcomes = try await store.append([
                    ruled(["1", "2"], in: short), ruled(["1"], in: gone), ruled(["1"], in: invoker),
                    chunk(["1"], to: plain),
                ])
                #expect(
                    outcomes.map(\.letters) == ["aa", "x", "x", ""], "one by one it gives as many as it is asked for")
                #expect(
                    outcomes[1].reasons == ["the room's rule is gone"] && outcomes[2].reasons == outcomes[1].reasons)
                #expect(outcomes[3] == .applied(base: 0))
            }
        }
    }

    @Test(
        "a rule that runs too long refuses its own room's inputs; the others are written, and soon nobody waits for it")
    func slow() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRule("slow", "PERFORM pg_sleep(60); RETURN NULL;")
            try await database.makeRule("quick", "RETURN NULL;")
            try await database.withStore(adjust: { $0.ruleTimeTogether = .milliseconds(400) }) { store in
                let slow = try await store.makeRoom("slow", rule: "slow")
                let quick = try await store.makeRoom("quick", rule: "quick")
                let plain = try await store.makeRoom("plain")
                let first = try await store.append([
                    ruled(["1"], in: slow), ruled(["1"], in: quick), chunk(["1"], to: plain),
                ])
                #expect(
                    first == [.slow, .slow, .applied(base: 0)], "whose rule it was shows when each is asked alone")
                #expect(try await store.appendApart(ruled(["1"], in: quick), waits: true).letters == "a")
                #expect(try await store.appendApart(ruled(["1", "2"], in: slow), waits: true) == .tooMuch)
                let refused = try await store.appendApart(ruled(["1"], in: slow), waits: true)
                #expect(
                    refused.letters == "x" && refused.reasons.first?.contains("took longer than 1.0 seconds") == true)
                let start = ContinuousClock.now
                let second = try await store.append([
                    ruled(["2"], in: slow), ruled(["2"], in: quick), chunk(["2"], to: plain),
                ])
                #expect(second.map(\.letters) == ["", "a", ""] && second[0] == .slow)
                #expect(ContinuousClock.now - start < .milliseconds(900), "the slow one is not asked beside others")
            }
        }
    }

    @Test("a rule that meets somebody else's lock refuses nothing: its room waits, and leaves no trace of the attempt")
    func lockedTable() async throws {
        try await ScratchDatabase.use { database in
            try await database.run(
                "CREATE TABLE public.account (name text PRIMARY KEY, cups integer); INSERT INTO public.account VALUES ('ann', 0)"
            )
            try await database.makeRule("spend", "UPDATE account SET cups = cups + 1 WHERE name = 'ann'; RETURN NULL;")
            try await database.withStore(adjust: patient) { store in
                let room = try await store.makeRoom("tea", rule: "spend")
                let plain = try await store.makeRoom("plain")
                try await database.holding("SELECT 1 FROM public.account FOR UPDATE") {
                    let held = try await store.append([ruled(["1"], in: room), chunk(["1"], to: plain)])
                    #expect(held == [.locked, .applied(base: 0)])
                }
                #expect(try await store.appendApart(ruled(["1"], in: room), waits: true).letters == "a")
                #expect(try await database.query("SELECT cups FROM public.account").first?.int4(0) == 1)
            }
        }
    }

    @Test("the limit of values is a setting; what a rule sets keeps to it too")
    func valuesLimit() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRule("open", "RETURN NULL;")
            try await database.makeRooms("sql")
            try await database.run("UPDATE parley.setting SET values_bytes_max = 2000")
            await #expect(throws: PostgresError.self) {
                try await database.run("INSERT INTO parley.setting DEFAULT VALUES")
            }
            await #expect(throws: PostgresError.self) {
                try await database.run("UPDATE parley.setting SET values_bytes_max = 1000000")
            }
            let large = #"{"a":"\#(String(repeating: "x", count: 1_500))"}"#
            let more = #"{"b":"\#(String(repeating: "x", count: 1_500))"}"#
            try await database.query("SELECT parley.set_values('sql', '\(large)')")
            try await database.expectRefusal("PY005", "SELECT parley.set_values('sql', '\(more)')")
            try await database.withStore(adjust: patient) { store in
                #expect(try await store.valuesBytesMax() == 2_000)
                let room = try await store.makeRoom("tea", rule: "open")
                let outcome = try await store.append([ruled(["set \(large)", "set \(more)"], in: room)])
                #expect(outcome.map(\.letters) == ["at"])
                let emptied = [#"set {"a":null}"#, "set \(more)"]
                #expect(try await store.append([ruled(emptied, in: room, from: 3)]).map(\.letters) == ["aa"])
            }
        }
    }

    @Test(
        "a function that cannot be a rule, a rule that is not there or in use: an error with a code and a hint, and nothing half done"
    )
    func badRules() async throws {
        try await ScratchDatabase.use { database in
            try await database.run(
                """
                CREATE FUNCTION public.wrong(room text, shared jsonb) RETURNS parley.ruling LANGUAGE sql SECURITY DEFINER
                SET search_path = pg_catalog, pg_temp AS 'SELECT NULL::parley.ruling';
                CREATE FUNCTION public.many(room text, shared jsonb, inputs parley.rule_input[]) RETURNS parley.ruling
                LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT NULL::parley.ruling';
                CREATE FUNCTION public.several(room text, shared jsonb, input parley.rule_input) RETURNS SETOF parley.ruling
                LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT NULL::parley.ruling';
                CREATE FUNCTION public.invoker(room text, shared jsonb, input parley.rule_input) RETURNS parley.ruling
                LANGUAGE sql SET search_path = pg_catalog, pg_temp AS 'SELECT NULL::parley.ruling';
                CREATE FUNCTION public.variadic(room text, shared jsonb, VARIADIC inputs parley.rule_input[])
                RETURNS parley.ruling[] LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
                AS 'SELECT NULL::parley.ruling[]';
                CREATE FUNCTION public.nowhere(room text, shared jsonb, input parley.rule_input) RETURNS parley.ruling
                LANGUAGE sql SECURITY DEFINER AS 'SELECT NULL::parley.ruling';
                """)
            for function in ["wrong", "many", "several", "variadic", "invoker", "nowhere", "now"] {
                try await database.expectRefusal("PY010", "SELECT parley.create_rule('r', '\(function)')")
            }
            try await database.expectRefusal("PY010", "SELECT parley.create_rule('r', NULL)")
            try await database.expectRefusal("PY010", "SELECT parley.create_rule('r', 0::regproc)")
            try await database.makeRule("open", "RETURN NULL;")
            for name in ["NULL", "''", "'a b'", "'..'"] {
                try await database.expectRefusal("PY004", "SELECT parley.create_rule(\(name), 'public.open')")
            }
            try await database.expectRefusal("PY009", "SELECT parley.create_room('tea', rule => 'none')")
            #expect(try await database.number("SELECT count(*) FROM parley.rooms") == 0)
            try await database.query("SELECT parley.create_room('tea', rule => 'open')")
            #expect(try await database.text("SELECT rule FROM parley.rooms") == "open")
            try await database.expectRefusal("PY011", "SELECT parley.drop_rule('open')")
            #expect(try await database.query("SELECT parley.drop_rule('none')").first?.bool(0) == false)
            let rules = try await database.query("SELECT name, function, is_batch, rooms FROM parley.rules")
            #expect(rules.map { $0.text(1) } == ["public.open"] && rules.map { $0.int8(3) } == [1])
            try await database.makeBatchRule(
                "open2", "RETURN array_fill(parley.refuse('closed'), ARRAY[cardinality(inputs)]);")
            try await database.query("SELECT parley.create_rule('open', 'public.open2')")
            try await database.withStore(adjust: patient) { store in
                let outcome = try await store.append([ruled(["1"], in: try await store.number(of: "tea"))])
                #expect(
                    outcome.first?.reasons == ["closed"],
                    "a rule that got another function, also in rooms that are there")
                await #expect(throws: StoreError.invalid(reason: "there is no rule \"none\"")) {
                    try await store.createRoom(RoomCreation(id: room("cake"), rule: "none"))
                }
                let there = try await store.createRoom(RoomCreation(id: room("tea"), ifMissing: true, rule: "none"))
                #expect(!there.created)
                #expect(try await store.enroll(join("tea", "ann")).isRuled)
                _ = try await store.makeRoom("plain")
                #expect(try await !store.enroll(join("plain", "ann")).isRuled)
            }
            #expect(try await database.query("SELECT parley.drop_rule('open2')").first?.bool(0) == true)
        }
    }

    @Test(
        "an application makes rules only when the owner lets it, without rights on tables; a rule runs as its owner, called by the nodes' role"
    )
    func rights() async throws {
        let mark = String(UInt32.random(in: .min ... .max), radix: 36)
        let (node, app) = ("node_\(mark)", "app_\(mark)")
        try await ScratchDatabase.use { database in
            try await database.run(
                """
                SELECT parley.set_up_roles('\(node)', '\(app)', NULL);
                ALTER ROLE \(node) LOGIN; ALTER ROLE \(app) LOGIN;
                CREATE SCHEMA shop AUTHORIZATION \(app);
                """)
            let owner = database.role(app)
            let function = """
                CREATE OR REPLACE FUNCTION shop.judge(room text, shared jsonb, input parley.rule_input) RETURNS parley.ruling
                LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, shop, pg_temp AS $$
                BEGIN
                    INSERT INTO seen VALUES (current_user);
                    BEGIN
                        PERFORM FROM parley.room;
                    EXCEPTION WHEN insufficient_privilege THEN
                        RETURN NULL;
                    END;
                    RETURN parley.refuse('it can read what its owner may not');
                END $$;
                """
            try await owner.run("CREATE TABLE shop.seen (name text); \(function)")
            await owner.expectDenied("SELECT parley.create_rule('shop', 'shop.judge')")
            await owner.expectDenied("SELECT parley.drop_rule('shop')")
            try await database.run("GRANT EXECUTE ON FUNCTION parley.create_rule, parley.drop_rule TO \(app)")
            try await database.run("SELECT parley.renew_grants()")
            let error = await #expect(throws: PostgresError.self) {
                try await owner.query("SELECT parley.create_rule('shop', 'shop.judge')")
            }
            guard case .server("PY010", _, _, let hint, _)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(hint?.hasPrefix("GRANT USAGE ON SCHEMA shop TO \(node)") == true)
            try await owner.run("GRANT USAGE ON SCHEMA shop TO \(node)")
            try await owner.query("SELECT parley.create_rule('shop', 'shop.judge')")
            try await owner.query("SELECT parley.create_room('tea', rule => 'shop')")
            try await database.role(node).withStore(adjust: patient) { store in
                let outcome = try await store.append([ruled(["1"], in: try await store.number(of: "tea"))])
                #expect(outcome.map(\.letters) == ["a"] && outcome.first?.reasons == [])
            }
            #expect(try await owner.text("SELECT name FROM shop.seen") == app)
            for refused in [
                "INSERT INTO parley.rule (name, function_schema, function_name, is_batch) VALUES ('x', 'a', 'b', false)"
            ] {
                await owner.expectDenied(refused)
                await database.role(node).expectDenied(refused)
            }
            try await database.dropRoles([node, app])
        }
    }
}
