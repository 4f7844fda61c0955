import ParleyCore
import ParleySchema
import TestPostgres
import Testing

@testable import ParleyPostgres

/// Roles and what each may do. Roles belong to the server: each test has its own, and drops them.
@Suite("Roles", .heavy)
struct RolesTests {
    struct Roles {
        let node: String
        let app: String
        let read: String

        init() {
            let mark = String(UInt32.random(in: .min ... .max), radix: 36)
            (node, app, read) = ("node_\(mark)", "app_\(mark)", "read_\(mark)")
        }

        var setUp: String { "SELECT * FROM parley.set_up_roles('\(node)', '\(app)', '\(read)')" }
    }

    private static func use(_ body: (ScratchDatabase, Roles) async throws -> Void) async throws {
        let roles = Roles()
        try await ScratchDatabase.use { database in
            do {
                try await database.query(roles.setUp)
                for role in [roles.node, roles.app, roles.read] { try await database.run("ALTER ROLE \(role) LOGIN") }
                try await body(database, roles)
                try await database.dropRoles([roles.node, roles.app, roles.read])
            } catch {
                try? await database.dropRoles([roles.node, roles.app, roles.read])
                throw error
            }
        }
    }

    @Test("an application has the functions and the views, and no table, no function of nodes and none of the owner")
    func app() async throws {
        try await Self.use { database, roles in
            let app = database.role(roles.app)
            for allowed in [
                "SELECT parley.create_room('tea')", "SELECT parley.publish('tea', '1', key => 'k')",
                "SELECT parley.publish_many('tea', ARRAY['2']::json[])",
                "SELECT parley.publish_to_rooms(ARRAY['tea'], ARRAY['3']::json[])",
                "SELECT parley.set_values('tea', '{\"a\":1}', \"if\" => '{\"a\":0}')",
                "SELECT parley.values_at('tea', 1), parley.values_at('tea', now())",
                "SELECT parley.set_retention('tea', 5)", "SELECT parley.prune()",
                "SELECT * FROM parley.messages('tea')", "SELECT parley.remove_member('tea', 'ann')",
                "SELECT parley.close_room('tea')",
            ] { try await app.query(allowed) }
            try await app.readAllViews()
            for refused in [
                "SELECT * FROM parley.room", "SELECT * FROM parley.session", "SELECT * FROM parley.signing_key",
                "INSERT INTO parley.room (room_id, tag) VALUES ('x', 0)", "DELETE FROM parley.update_log",
                "UPDATE parley.rooms SET members = 1", "SELECT parley.hold_room('tea')", "SELECT parley.random_tag()",
                "SELECT parley.prune_log(1, 1, 1, 1, 1, 1, 1)", "SELECT parley.renew_grants()",
                "SELECT parley.set_up_roles()", "CREATE TABLE parley.mine ()", "DROP FUNCTION parley.publish_many",
            ] { await app.expectDenied(refused) }
        }
    }

    @Test("a reader has the views, and no function")
    func read() async throws {
        try await Self.use { database, roles in
            try await database.makeRooms("tea")
            let reader = database.role(roles.read)
            try await reader.readAllViews()
            for refused in [
                "SELECT parley.publish('tea', '1')", "SELECT parley.create_room()",
                "SELECT * FROM parley.messages('tea')", "SELECT parley.values_at('tea', 0)",
                "SELECT * FROM parley.room",
                "SELECT * FROM parley.member",
                "SELECT parley.close_room('tea')",
            ] { await reader.expectDenied(refused) }
        }
    }

    @Test("somebody else has nothing")
    func nobody() async throws {
        try await Self.use { database, roles in
            let role = "nobody_\(UInt32.random(in: .min ... .max))"
            try await database.run("CREATE ROLE \(role) LOGIN")
            let nobody = database.role(role)
            await nobody.expectDenied("SELECT * FROM parley.rooms")
            try await database.run("GRANT USAGE ON SCHEMA parley TO \(role)")
            for refused in [
                "SELECT * FROM parley.rooms", "SELECT parley.publish('tea', '1')", "SELECT parley.is_public_id('a')",
            ] { await nobody.expectDenied(refused) }
            try await database.dropRoles([role])
        }
    }

    @Test("a node runs with no more: it writes, reads, prunes, declares another one dead and ends its backends")
    func node() async throws {
        try await Self.use { database, roles in
            let own = database.role(roles.node)
            func quick(_ configuration: inout StoreConfiguration) {
                configuration.lease = .milliseconds(600)
                configuration.heartbeatEvery = .milliseconds(50)
                configuration.grace = .milliseconds(300)
                configuration.pruneEvery = .milliseconds(100)
                configuration.pruneAgeMin = .zero
            }
            try await own.withStore("n1", adjust: quick) { one in
                let room = try await one.makeRoom("tea")
                _ = try await one.signingKeys()
                _ = try await one.enroll(join("tea", "ann"))
                try await one.add(["1", "2"], to: room, ids: 1..<3)
                try await database.query("SELECT parley.set_retention('tea', 1)")
                try await one.add(["3"], to: room, ids: 3..<4)
                try await waitUntil { try await database.number("SELECT first_seq FROM parley.rooms") == 3 }
                func silent(_ configuration: inout StoreConfiguration) {
                    quick(&configuration)
                    configuration.heartbeatEvery = .seconds(3_600)
                }
                try await own.withStore("dying", adjust: silent) { dying in
                    _ = try await dying.enroll(join("tea", "bob"))
                    try await waitUntil {
                        try await database.query("SELECT FROM parley.members WHERE client_id = 'bob'").isEmpty
                    }
                }
                let ended = try await own.query(
                    """
                    SELECT pg_terminate_backend(a.pid)
                    FROM parley.writer w, pg_stat_get_activity(w.backend_pid) a
                    WHERE a.backend_start = w.backend_start AND w.node_no = \(try unwrap(one.nodeNumber)) AND w.kind = 'log'
                    """)
                #expect(ended.map { $0.bool(0) } == [true], "the role may see and end the backends of its own")
                try await one.add(["4"], to: room, ids: 4..<5)
                #expect(try await own.query("SELECT pg_notification_queue_usage() < 1").first?.bool(0) == true)
            }
            for refused in [
                "DROP TABLE parley.room", "INSERT INTO parley.migration VALUES (99, 'x', now(), 'x', true)",
                "INSERT INTO parley.granted_role VALUES ('x', 'node')", "CREATE TABLE parley.mine ()",
                "SELECT parley.set_up_roles()",
            ] { await own.expectDenied(refused) }
        }
    }

    @Test("what a later migration makes is given to the roles of each kind")
    func laterMigration() async throws {
        try await Self.use { database, roles in
            let next = Migration(
                number: Int32(Schema.migrations.count + 1), name: "later",
                sql: """
                    -- older nodes: go on
                    CREATE TABLE parley.later (number integer);
                    CREATE VIEW parley.later_view AS SELECT number FROM parley.later;
                    CREATE FUNCTION parley.later_way_in() RETURNS integer LANGUAGE sql SECURITY DEFINER
                    SET search_path = pg_catalog, pg_temp AS 'SELECT count(*)::integer FROM parley.later';
                    CREATE FUNCTION parley.later_inside() RETURNS integer LANGUAGE sql AS 'SELECT 1';
                    """)
            try await Migrator(
                url: database.url, version: "test", logger: quietLogger, migrations: Schema.migrations + [next]
            ).migrate()
            let (node, app, read) = (database.role(roles.node), database.role(roles.app), database.role(roles.read))
            try await node.query("INSERT INTO parley.later VALUES (parley.later_inside())")
            try await app.query("SELECT parley.later_way_in(), number FROM parley.later_view")
            try await read.query("SELECT number FROM parley.later_view")
            await app.expectDenied("SELECT parley.later_inside()")
            await read.expectDenied("SELECT parley.later_way_in()")
        }
    }

    @Test("a role that a node has run as before there were kinds of roles goes on; so does one that made rooms")
    func formerRoles() async throws {
        let roles = Roles()
        try await ScratchDatabase.use(isMigrated: false) { database in
            let former = Array(Schema.migrations.prefix(9))
            try await Migrator(url: database.url, version: "test", logger: quietLogger, migrations: former).migrate()
            try await database.run(
                """
                CREATE ROLE \(roles.node) LOGIN;
                CREATE ROLE \(roles.app) LOGIN;
                GRANT USAGE ON SCHEMA parley TO \(roles.node), \(roles.app);
                GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA parley TO \(roles.node);
                GRANT EXECUTE ON FUNCTION parley.create_room TO \(roles.app);
                """)
            try await Migrator(url: database.url, version: "test", logger: quietLogger).migrate()
            try await database.role(roles.app).query("SELECT parley.create_room('tea')")
            try await database.role(roles.node).withStore { store in
                _ = try await store.enroll(join("tea", "ann"))
            }
            await database.role(roles.app).expectDenied("SELECT parley.publish('tea', '1')")
            try await database.dropRoles([roles.node, roles.app])
        }
    }

    @Test("an owner that may not make roles is told what to run; roles that are there it sets up, also one alone")
    func poorOwner() async throws {
        let roles = Roles()
        let owner = "owner_\(UInt32.random(in: .min ... .max))"
        try await ScratchDatabase.use(isMigrated: false) { database in
            try await database.run("CREATE ROLE \(owner) LOGIN")
            try await database.run(
                "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO \(owner)', current_database()); END $$")
            let poor = database.role(owner)
            try await Migrator(url: poor.url, version: "test", logger: quietLogger).migrate()
            let error = await #expect(throws: PostgresError.self) { try await poor.query(roles.setUp) }
            guard case .server("42501", _, _, let hint, _)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            let all = [roles.node, roles.app, roles.read].map { "CREATE ROLE \($0)" }.joined(separator: "; ")
            #expect(hint?.contains(all) == true)
            try await database.run("CREATE ROLE \(roles.node) LOGIN")
            let made = try await poor.query("SELECT is_new FROM parley.set_up_roles('\(roles.node)', NULL, NULL)")
            #expect(made.map { $0.bool(0) } == [false])
            try await database.role(roles.node).withStore { store in
                let room = try await store.makeRoom()
                try await store.add(["1"], to: room)
            }
            await database.role(roles.node).expectDenied("SELECT parley.set_up_roles()")
            try await database.dropRoles([roles.node, owner])
        }
    }

    @Test("databases of one server share the roles, or have their own; at once is no harm")
    func severalDatabases() async throws {
        let roles = Roles()
        try await ScratchDatabase.use { one in
            try await ScratchDatabase.use { other in
                let made = try await withThrowingTaskGroup(of: Int.self) { group in
                    for database in [one, other] {
                        group.addTask { try await database.query(roles.setUp).count { $0.bool(2) } }
                    }
                    return try await group.reduce(0, +)
                }
                #expect(made == 3, "each role is made once")
                try await one.run("ALTER ROLE \(roles.app) LOGIN")
                for database in [one, other] {
                    try await database.makeRooms("tea")
                    try await database.role(roles.app).query("SELECT parley.publish('tea', '1')")
                }
                try await other.run("DROP OWNED BY \(roles.app), \(roles.node), \(roles.read)")
                await other.role(roles.app).expectDenied("SELECT parley.publish('tea', '1')")
                try await one.role(roles.app).query("SELECT parley.publish('tea', '1')")
            }
            try await one.dropRoles([roles.node, roles.app, roles.read])
        }
    }
}

extension ScratchDatabase {
    /// The same database as somebody else.
    func role(_ name: String) -> ScratchDatabase {
        ScratchDatabase(url: url + (url.contains("?") ? "&" : "?") + "user=\(name)")
    }

    func dropRoles(_ names: [String]) async throws {
        for name in names { try await run("DROP OWNED BY \(name) CASCADE; DROP ROLE \(name)") }
    }

    func expectDenied(_ sql: String, sourceLocation: SourceLocation = #_sourceLocation) async {
        let error = await #expect(throws: PostgresError.self, "\(sql)", sourceLocation: sourceLocation) {
            try await query(sql)
        }
        guard case .server(let state, _, _, _, _)? = error else { return }
        // 42501 also for what is not the role's own; 55000 for a view that cannot be written to.
        let said = "\(sql): \(String(describing: error))"
        #expect(["42501", "55000"].contains(state), "\(said)", sourceLocation: sourceLocation)
    }

    func readAllViews() async throws {
        let views = try await query(
            """
            SELECT c.oid::regclass::text FROM pg_class c
            WHERE c.relnamespace = 'parley'::regnamespace AND c.relkind = 'v'
            """)
        #expect(views.count >= 11)
        for view in views { try await query("SELECT * FROM \(view.text(0))") }
    }
}
