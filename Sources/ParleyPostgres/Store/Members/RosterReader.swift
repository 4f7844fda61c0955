internal import ParleyCore

/// Reads rosters. Single ones, as rooms ask when they get a home here, are read together when many do at the same time.
struct RosterReader: Sendable {
    private let reader: RetryingConnection
    private let gathering: Gathering<RosterCursor, RosterRead?>

    /// Of one statement. Each may have thousands of members.
    private static let batchMax = 64

    init(reader: RetryingConnection) {
        self.reader = reader
        gathering = Gathering(batchMax: Self.batchMax) { cursors throws(StoreError) in
            try await Self.read(cursors, by: reader).map { .success($0) }
        }
    }

    /// Rooms that are not there are left out.
    func read(_ cursors: [RosterCursor]) async throws(StoreError) -> [RosterRead] {
        guard let first = cursors.first else { return [] }
        if cursors.count == 1 { return try await gathering.answer(to: first).map { [$0] } ?? [] }
        return try await Self.read(cursors, by: reader).compactMap { $0 }
    }

    private static func read(
        _ cursors: [RosterCursor], by reader: RetryingConnection
    ) async throws(StoreError) -> [RosterRead?] {
        let rows = try await reader.execute(
            RosterStatement.read, [.int8Array(cursors.map(\.room.value)), .int8Array(cursors.map(\.seq))])
        return RosterStatement.reads(rows, of: cursors)
    }
}
