import TestPostgres

/// The empty database that the tests of connections share.
enum TestDatabase {
    private static let made = Task { try await TestPostgres.shared.makeDatabase() }

    static var url: String {
        get async throws { try await made.value }
    }
}
