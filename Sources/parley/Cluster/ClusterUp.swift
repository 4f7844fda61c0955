import ArgumentParser
import Foundation
import ParleyCluster
import ParleyServer

struct ClusterUp: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Start the cluster, or what is missing of it.",
        discussion: """
            Called again, it finds what runs and starts only the rest; more --nodes may be added to a running cluster. Settings \
            are kept until 'down'. Whoever may use this machine may use this database and, without a password, these nodes.
            """)

    @OptionGroup var place: ClusterPlace

    @Option(help: "How many nodes: n1, n2 … (default: 3).")
    var nodes: Int?
    @Option(help: "Where clients connect; the nodes take the ports after it (default: 8080).")
    var port: UInt16?
    @Option(help: "The address on which HAProxy listens; 0.0.0.0 lets other machines in (default: 127.0.0.1).")
    var host: String?
    @Flag(help: "No HAProxy: clients connect to the nodes' own ports.")
    var noProxy = false
    @Option(help: "Use this PostgreSQL instead of a private one: postgresql://user@host/database.")
    var databaseURL: String?
    @Option(help: "Port of the private PostgreSQL (default: a free one, the same each time).")
    var postgresPort: UInt16?
    @Option(
        help: """
            Where rooms live: postgres, or memory: each node on its own, no database, HAProxy hashes by room \
            (default: postgres).
            """)
    var store: ClusterSettings.Store?
    @Option(help: "How nodes learn of each other's writes: notify, or poll (default: notify).")
    var feed: ClusterSettings.Feed?
    @Option(help: "How often --feed poll looks, milliseconds (default: 500).")
    var pollMs: Int?
    @Option(help: "Passed to every node, see 'parley serve --help'.")
    var tickMs: Int?
    @Option(help: "Passed to every node.")
    var graceMs: Int?
    @Option(help: "Passed to every node.")
    var leaseMs: Int?
    @Option(help: "Passed to every node: who may see its console, off, local or all.")
    var console: NodeConfiguration.Console?
    @Option(help: "Passed to every node.")
    var logLevel: String?

    func run() async throws {
        try await place.run { cluster in
            try await cluster.up(request)
            let address = try cluster.address()
            let status = try await cluster.status()
            let node = status.parts.contains { $0.name == "n2" } ? 2 : 1
            var text = "\n\(status.table)\n\n"
            var steps = [
                ("http://\(address)/", "open it in two browser tabs"),
                (place.next("kill \(node)"), "a node dies; its clients go on elsewhere"),
                (place.next("restart \(node)"), "and it comes back"),
            ]
            if try cluster.hasDatabase {
                steps.append(
                    (place.next("psql") + " -c 'SELECT * FROM parley.messages'", "what the database holds"))
            }
            steps.append((place.next("down"), "end it all; the data stays"))
            let width = steps.map(\.0.count).max() ?? 0
            for (step, meaning) in steps {
                text += "  \(step)\(String(repeating: " ", count: width - step.count))  # \(meaning)\n"
            }
            print(text, terminator: "")
        }
    }

    private var request: ClusterRequest {
        var request = ClusterRequest()
        request.nodes = nodes
        request.port = port
        request.host = host
        request.proxy = noProxy ? false : nil
        request.databaseURL = databaseURL
        request.postgresPort = postgresPort
        request.store = store
        request.feed = feed
        request.pollMs = pollMs
        let options = [
            ("--tick-ms", tickMs.map(String.init)), ("--grace-ms", graceMs.map(String.init)),
            ("--lease-ms", leaseMs.map(String.init)), ("--console", console?.rawValue), ("--log-level", logLevel),
        ].flatMap { name, value in value.map { [name, $0] } ?? [] }
        request.serveOptions = options.isEmpty ? nil : options
        return request
    }
}
