import ArgumentParser

struct Nodes: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the nodes, as the database sees them.")

    @OptionGroup var database: DatabaseOption

    func run() async throws {
        let table = try await DatabaseTable(
            of: """
                SELECT name, CASE WHEN alive THEN 'alive' ELSE 'gone' END, version,
                    to_char(started_at, 'YYYY-MM-DD HH24:MI:SS')
                FROM parley.nodes ORDER BY alive DESC, name, started_at DESC LIMIT 1000
                """,
            named: "nodes", titles: ["node", "state", "version", "started"], at: try database.url())
        print(table.text)
    }
}
