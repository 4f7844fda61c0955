import ArgumentParser
import Foundation
import ParleyCluster

/// The database, for commands that speak to it directly.
struct DatabaseOption: ParsableArguments {
    @Option(
        help: """
            PostgreSQL, as libpq takes it (default: PARLEY_DATABASE_URL, else the database of the cluster that \
            'parley cluster up' started in this folder).
            """)
    var databaseURL: String?

    func url() throws -> String {
        if let url = databaseURL ?? ProcessInfo.processInfo.environment["PARLEY_DATABASE_URL"], !url.isEmpty {
            return url
        }
        do {
            let cluster = LocalCluster(folder: LocalCluster.folderName, server: "", say: { _ in })
            if let url = try cluster.databaseURL() { return url }
        } catch {
            throw fail(error.reason, code: 69)
        }
        throw fail(
            "no database: pass --database-url postgresql://USER@HOST/DATABASE, or set PARLEY_DATABASE_URL", code: 64)
    }
}
