import Foundation
import ParleyCluster
import ParleySchema
import TestPostgres
import Testing

@testable import ParleyPostgres

@Suite("sql/schema.sql", .heavy)
struct SchemaFileTests {
    private static let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "sql/schema.sql")

    /// With `PARLEY_UPDATE_SCHEMA=1` it writes the file instead.
    @Test("is what the migrations make")
    func isCurrent() async throws {
        try await ScratchDatabase.use { database in
            let dump = try await Command(
                try await PostgresBinaries.find().folder + "/pg_dump",
                ["--schema-only", "--schema=parley", "--no-owner", "--no-privileges", "--dbname", database.url]
            ).succeed(within: .seconds(60), to: "dump the schema")
            let text = Self.stable(dump)
            if ProcessInfo.processInfo.environment["PARLEY_UPDATE_SCHEMA"] == "1" {
                try Data(text.utf8).write(to: Self.file, options: .atomic)
            }
            let stored = try String(contentsOf: Self.file, encoding: .utf8)
            #expect(stored == text, "run the tests once with PARLEY_UPDATE_SCHEMA=1, and look at what has changed")
        }
    }

    @Test("every script in the folder is one of the migrations")
    func isComplete() throws {
        let folder = Self.file.deletingLastPathComponent().appending(path: "migrations")
        let scripts = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".sql") }
        let migrations = Schema.migrations.map { "\(String(format: "%04d", $0.number))_\($0.name).sql" }
        #expect(scripts.sorted() == migrations)
    }

    /// Without what depends on the programs' version and on the session.
    private static func stable(_ dump: String) -> String {
        let lines = dump.split(separator: "\n", omittingEmptySubsequences: false).filter { line in
            !["--", "SET ", "SELECT pg_catalog.set_config", "\\restrict", "\\unrestrict"].contains {
                line.hasPrefix($0)
            }
        }
        var text = "-- What the migrations make, as pg_dump writes it. Kept equal by a test; nothing reads it.\n"
        for (line, before) in zip(lines, [""] + lines) where !(line.isEmpty && before.isEmpty) { text += line + "\n" }
        return text.trimmingCharacters(in: .newlines) + "\n"
    }
}
