import ArgumentParser
import Foundation

/// The database, for commands that speak to it directly.
struct DatabaseOption: ParsableArguments {
    @Option(help: "PostgreSQL, as libpq takes it (default: PARLEY_DATABASE_URL).")
    var databaseURL: String?

    func url() throws -> String {
        guard let url = databaseURL ?? ProcessInfo.processInfo.environment["PARLEY_DATABASE_URL"], !url.isEmpty else {
            throw fail("no database: pass --database-url postgresql://USER@HOST/DATABASE, or set PARLEY_DATABASE_URL", code: 64)
        }
        return url
    }
}
