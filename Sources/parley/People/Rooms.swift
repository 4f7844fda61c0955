import ArgumentParser

struct Rooms: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the rooms, the busiest first.")

    @OptionGroup var database: DatabaseOption
    @Option(help: "How many.")
    var limit = 50

    func validate() throws {
        guard (1...10_000).contains(limit) else { throw ValidationError("--limit must be 1 to 10,000") }
    }

    func run() async throws {
        let table = try await DatabaseTable(
            of: """
                SELECT room_id, last_seq::text, members::text, to_char(created_at, 'YYYY-MM-DD HH24:MI:SS')
                FROM parley.rooms ORDER BY last_seq DESC, room_id LIMIT \(limit)
                """,
            named: "rooms", titles: ["room", "changes", "members", "created"], at: try database.url())
        print(table.text)
    }
}
