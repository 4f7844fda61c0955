import ParleyCore
import TestPostgres
import Testing

@testable import ParleyPostgres

/// Rules that do what no rule should: their own room pays, and nobody else.
@Suite("Rules that misbehave", .heavy)
struct RuleIsolationTests {
    @Test(
        "what a table checks at the end of the transaction is checked as the rule's owner, and refuses that input alone"
    )
    func deferredTriggers() async throws {
        try await ScratchDatabase.use { database in
            try await database.run(
                """
                CREATE TABLE public.seen (text text);
                CREATE TABLE public.fired (text text, by text DEFAULT current_user);
                CREATE ROLE \(Self.owner(of: database)) SUPERUSER;
                """)
            try await database.run(Self.deferredCheck("IF NEW.text = 'bad' THEN RAISE EXCEPTION 'no'; END IF;"))
            try await database.makeRule("checked", "INSERT INTO seen VALUES (text); RETURN NULL;")
            try await database.run(
                "ALTER FUNCTION public.checked OWNER TO \(Self.owner(of: database)); "
                    + "SELECT parley.create_rule('checked', 'public.checked')")
            try await database.withStore(adjust: patient) { store in
                let room = try await store.makeRoom("tea", rule: "checked")
                let plain = try await store.makeRoom("plain")
                let outcomes = try await store.append([
                    ruled([#""a""#, #""bad""#, #""b""#], in: room), chunk(["1"], to: plain),
                ])
                #expect(outcomes.map(\.letters) == ["axa", ""] && outcomes[1] == .applied(base: 0))
                #expect(outcomes[0].reasons == ["the room's rule failed"])
                let fired = try await database.query("SELECT text, by FROM public.fired ORDER BY text")
                #expect(fired.map { $0.text(0) } == ["a", "b"])
                #expect(Set(fired.map { $0.text(1) }) == [Self.owner(of: database)])
            }
            try await database.dropRoles([Self.owner(of: database)])
        }
    }

    @Test("a check that the rule has put off to the end counts to its time")
    func putOff() async throws {
        try await ScratchDatabase.use { database in
            try await database.run("CREATE TABLE public.seen (text text); CREATE TABLE public.fired (text text)")
            try await database.run(Self.deferredCheck("PERFORM pg_sleep(60);"))
            try await database.makeRule(
                "later", "SET CONSTRAINTS ALL DEFERRED; INSERT INTO seen VALUES (text); RETURN NULL;")
            try await database.withStore { store in
                let room = try await store.makeRoom("tea", rule: "later")
                #expect(try await store.append([ruled(["1"], in: room)]) == [.slow])
                #expect(try await store.appendApart(ruled(["1"], in: room), waits: true).letters == "x")
                #expect(try await database.number("SELECT count(*) FROM public.seen") == 0)
            }
        }
    }

    @Test("a rule with which the commit itself fails is refused, and the others are written")
    func commitFails() async throws {
        try await ScratchDatabase.use { database in
            // Truncated at the commit, in an order that a foreign key forbids.
            try await database.makeRule(
                "temporary",
                """
                IF to_regclass('pg_temp.pb') IS NULL THEN
                    EXECUTE 'CREATE TEMP TABLE pa (x integer PRIMARY KEY) ON COMMIT DELETE ROWS';
                    EXECUTE 'CREATE TEMP TABLE pb (x integer REFERENCES pa)';
                END IF;
                RETURN NULL;
                """)
            try await database.makeRule("open", "RETURN NULL;")
            try await database.withStore(adjust: patient) { store in
                let bad = try await store.makeRoom("bad", rule: "temporary")
                let open = try await store.makeRoom("open", rule: "open")
                let outcomes = try await store.append([ruled(["1"], in: bad), ruled(["1"], in: open)])
                #expect(outcomes.map(\.letters) == ["x", "a"] && outcomes[0].reasons == ["the room's rule failed"])
                let next = try await store.append([
                    ruled(["2", "3"], in: bad, from: 2), ruled(["2"], in: open, from: 2),
                ])
                #expect(next[0] == .slow && next[1].letters == "a", "it is asked apart now")
                #expect(try await store.appendApart(ruled(["2", "3"], in: bad, from: 2), waits: true) == .tooMuch)
            }
        }
    }

    @Test("a cursor that a rule leaves open is not read to its end at the commit")
    func cursor() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRule(
                "lazy", "EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT pg_sleep(60)'; RETURN NULL;")
            try await database.withStore(adjust: patient) { store in
                let room = try await store.makeRoom("tea", rule: "lazy")
                let start = ContinuousClock.now
                #expect(try await store.append([ruled(["1"], in: room)]).map(\.letters) == ["a"])
                #expect(ContinuousClock.now - start < .seconds(30))
            }
        }
    }

    @Test("rulings count in their order, wherever their array begins and however it is nested")
    func oddArrays() async throws {
        try await ScratchDatabase.use { database in
            try await database.run("CREATE TABLE public.made (n integer)")
            let verdict = "CASE WHEN i.message #>> '{}' = 'no' THEN parley.refuse('no') END"
            try await database.makeBatchRule(
                "zero",
                """
                DECLARE rulings parley.ruling[];
                BEGIN
                    FOR n IN 0..cardinality(inputs) - 1 LOOP
                        rulings[n] := CASE WHEN (inputs[n + 1]).message #>> '{}' = 'no' THEN parley.refuse('no') END;
                    END LOOP;
                    RETURN rulings;
                END;
                """)
            try await database.makeBatchRule(
                "nested",
                "RETURN (SELECT array_agg(ARRAY[\(verdict)] ORDER BY ix) FROM unnest(inputs) "
                    + "WITH ORDINALITY i(client, user_id, message, set, ix));")
            try await database.withStore(adjust: patient) { store in
                for name in ["zero", "nested"] {
                    let room = try await store.makeRoom(name, rule: name)
                    let inputs = [#""no""#, #""yes""#, #""no""#, #""yes""#]
                    #expect(try await store.append([ruled(inputs, in: room)]).map(\.letters) == ["xaxa"], "\(name)")
                }
            }
        }
    }

    @Test("what a rule makes of a batch may be too much for one row: nothing is done, and it is to be tried with fewer")
    func tooMuch() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRule(
                "wordy", "RETURN parley.accept(message => to_json(repeat(text, 30000)));")
            try await database.withStore(adjust: patient) { store in
                let room = try await store.makeRoom("tea", rule: "wordy")
                let many = (1...40).map { _ in #""x""# }
                #expect(try await store.append([ruled(many, in: room)]) == [.tooMuch])
                #expect(try await database.log(of: "tea").chunks.isEmpty)
                let few = try await store.append([ruled(Array(many.prefix(10)), in: room)])
                #expect(few.map(\.letters) == [String(repeating: "r", count: 10)])
            }
        }
    }

    @Test("one slow input is refused alone: of several it is looked for")
    func slowInput() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRule(
                "sometimes", "IF text = 'slow' THEN PERFORM pg_sleep(60); END IF; RETURN NULL;")
            try await database.withStore { store in
                let room = try await store.makeRoom("tea", rule: "sometimes")
                let inputs = [#""quick""#, #""slow""#]
                #expect(try await store.appendApart(ruled(inputs, in: room), waits: true) == .tooMuch)
                #expect(try await store.appendApart(ruled([inputs[0]], in: room), waits: true).letters == "a")
                #expect(try await store.appendApart(ruled([inputs[1]], in: room, from: 2), waits: true).letters == "x")
            }
        }
    }

    @Test("keys are as short as those of sockets, from SQL and from rules")
    func longKeys() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRooms("sql")
            try await database.expectRefusal(
                "PY005", "SELECT parley.set_values('sql', json_build_object(repeat('k', 1025), 1))")
            try await database.query("SELECT parley.set_values('sql', json_build_object(repeat('k', 1024), 1))")
            try await database.makeRule(
                "keys", "RETURN parley.accept(set => json_build_object(repeat('k', text::integer), 1));")
            try await database.withStore(adjust: patient) { store in
                let room = try await store.makeRoom("tea", rule: "keys")
                let outcome = try await store.append([ruled([#""1024""#, #""1025""#], in: room)])
                #expect(outcome.map(\.letters) == ["rx"])
            }
        }
    }

    @Test("settings that a rule changes for the session are put back before anybody else is written")
    func settings() async throws {
        let settings = [
            "default_transaction_read_only": "on", "synchronous_commit": "off", "statement_timeout": "1234ms",
            "lock_timeout": "4321ms", "search_path": "public", "default_transaction_isolation": "serializable",
            "TimeZone": "Asia/Tokyo", "enable_indexscan": "off",
        ]
        try await ScratchDatabase.use { database in
            try await database.makeRule(
                "careless",
                settings.map { "PERFORM set_config('\($0)', '\($1)', false);" }.joined(separator: "\n")
                    + "RETURN NULL;")
            try await database.makeRule(
                "show",
                "RETURN parley.accept(message => (SELECT json_object_agg(s, current_setting(s)) FROM unnest(ARRAY["
                    + settings.keys.sorted().filter { $0 != "search_path" }.map { "'\($0)'" }.joined(separator: ",")
                    + "]) s));")
            // The writer itself changes how long it waits for locks, as it learns how quick the server is.
            func steady(_ configuration: inout StoreConfiguration) {
                patient(&configuration)
                configuration.lockTimeoutMin = configuration.lockTimeout
            }
            try await database.withStore(adjust: steady) { store in
                let show = try await store.makeRoom("show", rule: "show")
                let careless = try await store.makeRoom("careless", rule: "careless")
                let plain = try await store.makeRoom("plain")
                _ = try await store.append([ruled(["1"], in: show)])
                #expect(try await store.append([ruled(["1"], in: careless)]).map(\.letters) == ["a"])
                #expect(try await store.append([chunk(["1"], to: plain)]) == [.applied(base: 0)])
                _ = try await store.append([ruled(["2"], in: show, from: 2)])
                let shown = try await database.messages(of: "show")
                #expect(shown.count == 2 && Set(shown).count == 1, "\(shown)")
            }
        }
    }

    @Test("a rule that forbids its transaction to write is refused alone")
    func readOnly() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRule(
                "shut", "PERFORM set_config('transaction_read_only', 'on', false); RETURN NULL;")
            try await database.makeRule("open", "RETURN NULL;")
            try await database.withStore(adjust: patient) { store in
                let shut = try await store.makeRoom("shut", rule: "shut")
                let open = try await store.makeRoom("open", rule: "open")
                let outcomes = try await store.append([ruled(["1"], in: shut), ruled(["1"], in: open)])
                #expect(outcomes.map(\.letters) == ["x", "a"])
            }
        }
    }

    @Test("a session in which nothing can be written is given up for another one")
    func brokenSession() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let plain = try await store.makeRoom("plain")
                _ = try await store.append([chunk(["1"], to: plain)])
                let breaking = Statement(
                    name: "break", sql: "SELECT set_config('default_transaction_read_only', 'on', false)")
                try await store.writerConnection.execute(breaking)
                await #expect(throws: StoreError.self) { try await store.append([chunk(["2"], to: plain)]) }
                try await waitUntil { store.writerConnection.generation == 2 }
                #expect(try await store.append([chunk(["2"], to: plain)]) == [.applied(base: 1)])
            }
        }
    }

    @Test("a rule that will not be interrupted is ended with its connection, refused apart, and then in nobody's way")
    func uninterruptible() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRule(
                "stubborn",
                """
                LOOP
                    BEGIN
                        PERFORM pg_sleep(60);
                    EXCEPTION WHEN query_canceled THEN
                        NULL;
                    END;
                END LOOP;
                """)
            try await database.withStore { store in
                let stubborn = try await store.makeRoom("stubborn", rule: "stubborn")
                let plain = try await store.makeRoom("plain")
                let start = ContinuousClock.now
                #expect(try await store.append([ruled(["1"], in: stubborn)]) == [.slow])
                #expect(ContinuousClock.now - start < .seconds(10), "one attempt, not eight")
                #expect(try await store.append([chunk(["1"], to: plain)]) == [.applied(base: 0)])
                let refused = try await store.appendApart(ruled(["1"], in: stubborn), waits: true)
                #expect(refused.letters == "x" && refused.reasons.first?.contains("took longer") == true)
                let both = try await store.append([ruled(["2"], in: stubborn), chunk(["2"], to: plain)])
                #expect(both == [.slow, .applied(base: 1)])
            }
        }
    }

    @Test("a rule that ends its own backend is asked apart after two losses, and is temporarily unavailable there")
    func suicidal() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRule("deadly", "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL;")
            try await database.withStore(adjust: { $0.connection.backoffFirst = .milliseconds(2) }) { store in
                let deadly = try await store.makeRoom("deadly", rule: "deadly")
                let plain = try await store.makeRoom("plain")
                #expect(try await store.append([ruled(["1"], in: deadly)]) == [.slow])
                #expect(store.writerConnection.generation == 3)
                #expect(try await store.append([chunk(["1"], to: plain)]) == [.applied(base: 0)])
                let error = await #expect(throws: StoreError.self) {
                    try await store.appendApart(ruled(["1"], in: deadly), waits: true)
                }
                #expect("\(String(describing: error))".contains("unavailable"))
                #expect(try await store.append([ruled(["1"], in: deadly)]) == [.slow])
                #expect(store.writerConnection.generation == 3, "not asked beside others now")
            }
        }
    }

    @Test("prepared statements that a rule takes away are made anew")
    func deallocated() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRule("forgetful", "EXECUTE 'DEALLOCATE ALL'; RETURN NULL;")
            try await database.withStore(adjust: patient) { store in
                let room = try await store.makeRoom("tea", rule: "forgetful")
                let plain = try await store.makeRoom("plain")
                for n in 1...3 {
                    #expect(try await store.append([ruled(["1"], in: room, from: Int64(n))]).map(\.letters) == ["a"])
                    #expect(try await store.append([chunk(["\(n)"], to: plain)]) == [.applied(base: Seq(n - 1))])
                }
            }
        }
    }

    @Test("another function of the rule's name, by its arguments or its owner, is not asked")
    func impostors() async throws {
        try await ScratchDatabase.use { database in
            let other = Self.owner(of: database)
            try await database.makeRule("twin", "RETURN NULL;")
            try await database.makeRule("sold", "RETURN NULL;")
            try await database.run(
                """
                CREATE ROLE \(other) SUPERUSER;
                ALTER FUNCTION public.twin(text, jsonb, parley.rule_input) SECURITY INVOKER;
                CREATE FUNCTION public.twin(room text, shared jsonb, input integer) RETURNS parley.ruling
                LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT NULL::parley.ruling';
                ALTER FUNCTION public.sold OWNER TO \(other);
                """)
            try await database.withStore(adjust: patient) { store in
                let twin = try await store.makeRoom("twin", rule: "twin")
                let sold = try await store.makeRoom("sold", rule: "sold")
                let refused = try await store.append([ruled(["1"], in: twin), ruled(["1"], in: sold)])
                #expect(refused.map(\.letters) == ["x", "x"])
                #expect(Set(refused.flatMap(\.reasons)) == ["the room's rule is gone"])
                try await database.query("SELECT parley.create_rule('sold', 'public.sold')")
                #expect(try await store.append([ruled(["2"], in: sold, from: 2)]).map(\.letters) == ["a"])
            }
            try await database.run("DROP FUNCTION public.sold")
            try await database.dropRoles([other])
        }
    }

    @Test("a room is not made with a rule that is being dropped")
    func dropped() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRule("open", "RETURN NULL;")
            try await database.withStore { store in
                try await database.holding("SELECT parley.drop_rule('open')") {
                    await #expect(throws: StoreError.self) { try await store.makeRoom("tea", rule: "open") }
                }
                // That transaction was undone.
                _ = try await store.makeRoom("tea", rule: "open")
                try await database.expectRefusal("PY011", "SELECT parley.drop_rule('open')")
            }
        }
    }

    @Test("who is refused without a reason is told that the rule refuses it")
    func noReason() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRule("curt", "RETURN parley.refuse('');")
            try await database.withStore(adjust: patient) { store in
                let room = try await store.makeRoom("tea", rule: "curt")
                let outcome = try await store.append([ruled(["1"], in: room)])
                #expect(outcome.first?.reasons == ["the room's rule refuses this"])
            }
        }
    }

    /// Roles belong to the whole server.
    private static func owner(of database: ScratchDatabase) -> String {
        "rule_owner_" + String(UInt64(bitPattern: Int64(database.url.hashValue)), radix: 36)
    }

    /// On public.seen; notes in public.fired what it lets pass.
    private static func deferredCheck(_ body: String) -> String {
        """
        CREATE FUNCTION public.check_seen() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            \(body)
            INSERT INTO public.fired (text) VALUES (NEW.text);
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER check_seen AFTER INSERT ON public.seen DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION public.check_seen();
        """
    }
}
