import ParleyCluster
import ParleyCore
import ParleySchema
import TestPostgres
import Testing

@testable import ParleyPostgres

@Suite("Migrations", .heavy)
struct MigratorTests {
    private func migrator(_ url: String, _ migrations: [Migration] = Schema.migrations) -> Migrator {
        Migrator(url: url, version: "test", logger: quietLogger, migrations: migrations)
    }

    private func numbers(_ database: ScratchDatabase) async throws -> [Int32] {
        try await database.query("SELECT number FROM parley.migration ORDER BY number").map { $0.int4(0) }
    }

    @Test("eight migrators at once on an empty database: one applies each migration, the others find it done")
    func atOnce() async throws {
        try await ScratchDatabase.use(isMigrated: false) { database in
            let applied = try await withThrowingTaskGroup(of: [Migration].self) { group in
                for _ in 1...8 {
                    group.addTask { try await migrator(database.url).migrate() }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(applied.map(\.number).sorted() == Schema.migrations.map(\.number), "each one once")
            #expect(try await numbers(database) == Schema.migrations.map(\.number))
            #expect(try await migrator(database.url).migrate() == [])
        }
    }

    @Test("a dry run names what is pending and changes nothing")
    func dryRun() async throws {
        try await ScratchDatabase.use(isMigrated: false) { database in
            let pending = try await migrator(database.url).migrate(dryRun: true)
            #expect(pending == Schema.migrations)
            let schemas = try await database.query("SELECT FROM pg_namespace WHERE nspname = 'parley'")
            #expect(schemas.isEmpty)
        }
    }

    @Test("the game's rule is made once, and an owner may alter it")
    func game() async throws {
        try await ScratchDatabase.use { database in
            #expect(try await migrator(database.url).add(.game))
            #expect(try await database.text("SELECT name FROM parley.rules") == "board")
            try await database.run(
                "ALTER FUNCTION board.judge RENAME TO mine; SELECT parley.create_rule('board', 'board.mine')")
            #expect(try await !migrator(database.url).add(.game))
            #expect(try await database.text("SELECT function FROM parley.rules") == "board.mine")
        }
    }

    @Test("a migration that fails leaves nothing of itself, and what went before it stays")
    func failing() async throws {
        try await ScratchDatabase.use { database in
            let next = Int32(Schema.migrations.count + 1)
            let broken = Migration(
                number: next, name: "broken", sql: "-- older nodes: stop\nCREATE TABLE parley.half (); SELECT 1 / 0;")
            let error = await #expect(throws: SchemaError.self) {
                try await migrator(database.url, Schema.migrations + [broken]).migrate()
            }
            guard case .migrationFailed(_, next, "broken", let reason) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(reason.contains("division by zero"))
            let tables = try await database.query("SELECT FROM pg_class WHERE relname = 'half'")
            #expect(tables.isEmpty)
            let applied = try await numbers(database)
            #expect(applied == Schema.migrations.map(\.number))
        }
    }

    @Test("a store does not use a schema that is missing, or newer than it knows unless that says it may")
    func versions() async throws {
        try await ScratchDatabase.use(isMigrated: false) { database in
            let missing = await #expect(throws: SchemaError.self) { try await migrator(database.url).check() }
            guard case .missing = missing else {
                Issue.record("\(String(describing: missing))")
                return
            }
        }
        try await ScratchDatabase.use { database in
            let insert = "INSERT INTO parley.migration (number, name, parley_version, older_nodes_go_on) VALUES "
            try await database.query(insert + "(901, 'harmless', '2.0', true)")
            try await migrator(database.url).check()
            try await database.query(insert + "(902, 'other', '3.0', false)")
            let error = await #expect(throws: SchemaError.self) { try await migrator(database.url).check() }
            guard case .tooNew(_, 902, _, by: "3.0") = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            await #expect(throws: SchemaError.self) { try await migrator(database.url).migrate() }
        }
    }

    @Test("a server older than 14 is refused with its version and the one that is needed")
    func tooOld() {
        let error = SchemaError.serverTooOld(database: "app", version: 130_014)
        #expect(error.description == "database app runs on PostgreSQL 13.14: Parley needs version 14 or newer")
        #expect(SchemaError.serverVersionMin == 140_000)
    }

    @Test("without the right to make the schema, the error names the role and the GRANT; with it, it works")
    func rights() async throws {
        try await ScratchDatabase.use(isMigrated: false) { database in
            let role = "poor_\(UInt32.random(in: .min ... .max))"
            try await database.run("CREATE ROLE \(role) LOGIN")
            let url = database.url + (database.url.contains("?") ? "&" : "?") + "user=\(role)"
            let error = await #expect(throws: SchemaError.self) { try await migrator(url).migrate() }
            guard case .missingRight(let name, role, "CREATE", let remedy) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(remedy.contains("GRANT CREATE ON DATABASE") && remedy.contains(name) && remedy.contains(role))
            #expect(try await database.query("SELECT FROM pg_namespace WHERE nspname = 'parley'").isEmpty)
            try await database.run(remedy.replacing("`", with: ""))
            #expect(try await migrator(url).migrate() == Schema.migrations)
            try await database.run("DROP OWNED BY \(role); DROP ROLE \(role)")
        }
    }
}
