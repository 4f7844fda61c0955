import Foundation
import NIOCore
import NIOPosix
import ParleyClient
import ParleyCluster

/// PostgreSQL, nodes, and a faulty link before each node on either side.
public final class FaultCluster: Sendable {
    static let database = "faults"
    /// What the nodes are started with.
    static let grace = Duration.seconds(15)

    let postgres: LocalPostgres
    let nodes: [FaultNode]
    /// Clients reach the node of the same index through it.
    let clientLinks: [FaultyLink]
    /// The node of the same index reaches the database through it.
    let databaseLinks: [FaultyLink]

    private init(
        postgres: LocalPostgres, nodes: [FaultNode], clientLinks: [FaultyLink], databaseLinks: [FaultyLink]
    ) {
        self.postgres = postgres
        self.nodes = nodes
        self.clientLinks = clientLinks
        self.databaseLinks = databaseLinks
    }

    public static func start(executable: String, nodes count: Int, feed: String, folder: String) async throws
        -> FaultCluster
    {
        let postgres = LocalPostgres(folder: "\(folder)/postgres")
        _ = try await postgres.start()
        _ = try await postgres.createDatabase(database)
        guard let port = postgres.running?.port else { throw FaultNode.Failure(description: "no PostgreSQL") }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        var (nodes, clientLinks, databaseLinks): ([FaultNode], [FaultyLink], [FaultyLink]) = ([], [], [])
        for number in 1...count {
            let databaseLink = try await FaultyLink.open(to: Int(port), loop: loop)
            let node = try FaultNode(
                name: "n\(number)", executable: executable,
                databaseURL: "postgresql://\(LocalPostgres.user)@127.0.0.1:\(databaseLink.port)/\(database)",
                feed: feed, folder: folder)
            try node.start()
            try await node.becomeReady()
            nodes.append(node)
            databaseLinks.append(databaseLink)
            clientLinks.append(try await FaultyLink.open(to: Int(node.port), loop: loop))
        }
        try await postgres.query(Witness.setUp, database: database)
        return FaultCluster(postgres: postgres, nodes: nodes, clientLinks: clientLinks, databaseLinks: databaseLinks)
    }

    var addresses: [NodeAddress] { clientLinks.map { NodeAddress(host: "127.0.0.1", port: $0.port) } }

    public func stop() async throws {
        for link in clientLinks { await link.close() }
        for node in nodes {
            node.signal(SIGCONT)
            try await node.kill()
        }
        for link in databaseLinks { await link.close() }
        _ = try await postgres.stop(.immediate)
    }
}
