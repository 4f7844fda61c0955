import Foundation
import Logging
import ParleyPostgres

/// The result of one query, as a table for people.
struct DatabaseTable {
    /// How long a command waits for the database.
    private static let patience = Duration.seconds(10)

    let text: String

    /// - Parameter sql: its columns must all be text.
    init(of sql: String, named name: String, titles: [String], at url: String) async throws {
        var logger = Logger(label: "parley")
        // What went wrong is the error.
        logger.logLevel = .critical
        var settings = ConnectionSettings()
        settings.isRefusalFinal = true
        let connection = PostgresConnection(role: name, url: url, settings: settings, logger: logger)
        connection.start()
        do throws(PostgresError) {
            try await connection.waitUntilConnected(timeout: Self.patience)
            let rows = try await connection.execute(Statement(name: name, sql: sql), [], timeout: Self.patience)
            text = Self.layOut([titles] + rows.map { row in titles.indices.map { row.textOrNil($0) ?? "" } })
            await connection.close()
        } catch {
            await connection.close()
            throw fail("\(error)" + Self.advice(on: error), code: 69)
        }
    }

    private static func advice(on error: PostgresError) -> String {
        switch error.sqlState {
        case "42P01", "3F000": ": this database has no schema parley, or an older one: run `parley migrate`"
        case "42501":
            ": run `GRANT USAGE ON SCHEMA parley TO` the role, and `GRANT SELECT ON ALL TABLES IN SCHEMA parley TO` it"
        default: ""
        }
    }

    private static func layOut(_ lines: [[String]]) -> String {
        let widths = lines.reduce(into: Array(repeating: 0, count: lines.first?.count ?? 0)) { widths, line in
            for (column, cell) in line.enumerated() { widths[column] = max(widths[column], cell.count) }
        }
        return lines.map { line in
            zip(line, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }
                .joined(separator: "  ").trimmingCharacters(in: .whitespaces)
        }.joined(separator: "\n")
    }
}
