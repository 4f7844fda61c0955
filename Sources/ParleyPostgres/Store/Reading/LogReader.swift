internal import ParleyCore

/// Reads what came after cursors. Single ones, as subscriptions ask that are behind, are read together when many do at
/// the same time.
struct LogReader: Sendable {
    private let reader: RetryingConnection
    private let gathering: Gathering<LogCursor, LogRead?>

    /// Of one statement: each may bring `LogStatement.bytesShareMin` bytes and more.
    private static let batchMax = 64

    init(reader: RetryingConnection) {
        self.reader = reader
        gathering = Gathering(batchMax: Self.batchMax) { cursors throws(StoreError) in
            try await Self.read(cursors, by: reader).map { .success($0) }
        }
    }

    /// A room without news is left out.
    func read(_ cursors: [LogCursor]) async throws(StoreError) -> [LogRead] {
        guard let first = cursors.first else { return [] }
        if cursors.count == 1 { return try await gathering.answer(to: first).map { [$0] } ?? [] }
        return try await Self.read(cursors, by: reader).compactMap { $0 }
    }

    private static func read(
        _ cursors: [LogCursor], by reader: RetryingConnection
    ) async throws(StoreError) -> [LogRead?] {
        let rows = try await reader.execute(LogStatement.read, LogStatement.parameters(cursors))
        return LogStatement.reads(rows, of: cursors)
    }
}
