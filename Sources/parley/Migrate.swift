import ArgumentParser
import Foundation
import Logging
import ParleyCore
import ParleyPostgres
import ParleySchema

struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring the schema `parley` of a database up to date.",
        discussion: "Any number of these, and of nodes that start, may run at once: they take turns.")

    @OptionGroup var database: DatabaseOption
    @Flag(
        help:
            "Only say what is applied and what is pending; exit code 1 when something is pending, 69 when the database is newer than this program."
    )
    var status = false
    @Flag(help: "Check everything, the rights included, and say what would be applied.")
    var dryRun = false
    @Flag(help: "Also make the rule of the game at /cells, unless there is a schema 'board' already.")
    var game = false

    func run() async throws {
        var logger = Logger(label: "parley")
        // What it applied is printed, and what went wrong is the error.
        logger.logLevel = .critical
        let migrator = Migrator(url: try database.url(), version: parleyVersion, logger: logger)
        do {
            if status {
                let status = try await migrator.status()
                for migration in status.applied { print("applied  \(migration.number) \(migration.name)") }
                for migration in status.pending { print("pending  \(migration.number) \(migration.name)") }
                try status.check(notNewerThan: Schema.migrations)
                guard status.pending.isEmpty else { throw ExitCode.failure }
            } else {
                let migrations = try await migrator.migrate(dryRun: dryRun)
                for migration in migrations {
                    print("\(dryRun ? "would apply" : "applied") \(migration.number) \(migration.name)")
                }
                if migrations.isEmpty { print("up to date") }
                if game, !dryRun, try await migrator.add(.game) { print("added the rule of the game at /cells") }
            }
        } catch let error as SchemaError {
            throw fail(error.description, code: 69)
        }
    }
}
