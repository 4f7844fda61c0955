import ParleyCluster
import TestPostgres
import Testing

/// The three designs of one system, each as its settings, and nodes that run it.
enum Design: String, CaseIterable, Sendable, CustomTestStringConvertible {
    /// One process holds its rooms.
    case memory
    /// Stateless nodes that look for news.
    case poll
    /// Stateless nodes that are told.
    case notify

    var testDescription: String { rawValue }

    /// As many nodes as the design knows: one alone in memory, else three over one new database.
    func nodes(_ more: [String] = []) async throws -> [TestNode] {
        switch self {
        case .memory:
            return [try await TestNode.start("n1", ["--store", "memory"] + more)]
        case .poll, .notify:
            let url = try await TestPostgres.shared.makeDatabase()
            return try await Self.nodes(of: url, ["--feed", rawValue, "--poll-ms", "100"] + more)
        }
    }

    static func nodes(of database: String, _ more: [String] = [], count: Int = 3) async throws -> [TestNode] {
        var nodes: [TestNode] = []
        for number in 1...count {
            nodes.append(try await TestNode.start("n\(number)", ["--database-url", database] + more))
        }
        return nodes
    }
}
