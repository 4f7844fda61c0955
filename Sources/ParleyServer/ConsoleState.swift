import Foundation
import ParleyCore
import ParleyHub

/// What a console shows, as JSON: of this node, and of the cluster as this node sees it. Counters only grow, so that who
/// reads them twice has the rates between, whoever reads them besides.
struct ConsoleState: Encodable {
    struct Own: Encodable {
        var uptimeMs: Int64
        var sockets: Int
        var rooms: Int
        var changes: Int
        var batches: Int
        var updates: Int
        var waitingBytes: Int
        /// By class of `WaitHistogram.boundsMs`: from the coming of a change until it was durable.
        var waits: [Int]
    }

    struct Database: Encodable {
        var isReachable: Bool
        /// For the look at the cluster itself.
        var lookMs: Double
        /// Of the newest notification of the node to itself; nil before the first.
        var echoMs: Double?
        var echoesMissed: Int
        var queueUsage: Double?
        var requests: Int
        var failures: Int
    }

    struct Cluster: Encodable {
        struct Node: Encodable {
            var number: Int64
            var name: String
            var address: String?
            var version: String
            var isAlive: Bool
            var leaseLeftMs: Int64?
            var ageMs: Int64
            var batches: Int64
            var members: Int
        }

        struct Room: Encodable {
            var id: String
            var seq: Int64
            var members: Int
        }

        var at: Int64
        var nodes: [Node]
        var rooms: [Room]
    }

    var node: String
    var version: String
    var everyMs: Int64
    var boundsMs = WaitHistogram.boundsMs
    var membersMax = Overview.membersMax
    var own: Own
    /// nil when there is none.
    var database: Database?
    /// nil when it was never seen.
    var cluster: Cluster?
    var failure: String?

    var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Numbers that JSON has not do not come here.
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}

extension ConsoleState {
    init(
        node: String, version: String, own: Own, isReachable: Bool, database: DatabaseObservation.Figures?,
        sight: ConsoleWatch.Sight
    ) {
        self.node = node
        self.version = version
        self.own = own
        everyMs = Int64(ConsoleWatch.every / .milliseconds(1))
        self.database = database.map { figures in
            Database(
                isReachable: isReachable, lookMs: sight.took / .milliseconds(1),
                echoMs: figures.echoSeconds.map { $0 * 1_000 }, echoesMissed: figures.echoesMissed,
                queueUsage: figures.notificationQueueUsage,
                requests: figures.statements.values.reduce(0) { $0 + $1.count },
                failures: figures.statements.values.reduce(0) { $0 + $1.failures })
        }
        cluster = sight.overview.map(Cluster.init)
        failure = sight.failure.map { _ in "the database does not answer" }
    }
}

extension ConsoleState.Cluster {
    init(_ overview: Overview) {
        at = overview.at
        nodes = overview.nodes.map {
            Node(
                number: $0.number, name: $0.name, address: $0.address, version: $0.version, isAlive: $0.isAlive,
                leaseLeftMs: $0.leaseLeftMs, ageMs: $0.ageMs, batches: $0.batches, members: $0.members)
        }
        rooms = overview.rooms.map { Room(id: $0.id.text, seq: $0.lastSeq, members: $0.members) }
    }
}
