public import ArgumentParser
import Foundation
import Logging
public import ParleyServer

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run one node.",
        discussion: """
            Every option can also be given in the environment (--database-url as PARLEY_DATABASE_URL) or in a file of such \
            lines (--config). SIGTERM drains: clients are told to go on elsewhere, then the process ends.
            """)

    @Option(
        help: "PostgreSQL, as libpq takes it: postgresql://user@host/database, with TLS and several hosts if wanted.")
    var databaseURL: String?
    @Option(
        name: .customLong("listen-url"),
        help: "The same database without the pooler, for notifications, when --database-url goes by one.")
    var listenURL: String?
    @Option(help: "Address to listen on (default: 127.0.0.1).")
    var host: String?
    @Option(help: "Port to listen on; 0 takes a free one (default: 8080).")
    var port: Int?
    @Option(help: "Name of this node, for people (default: the host's name and the process id).")
    var nodeName: String?
    @Option(help: "Where rooms live: postgres, or memory for one process on its own (default: postgres).")
    var store: NodeConfiguration.Store?
    @Option(help: "How nodes learn of each other's writes: notify, or poll (default: notify).")
    var feed: NodeConfiguration.Feed?
    @Option(help: "How often --feed poll looks (default: 500).")
    var pollMs: Int?
    @Option(help: "At most one update per room and member in this time (default: 20).")
    var tickMs: Int?
    @Option(help: "How long a member whose socket was lost stays a member (default: 15000).")
    var graceMs: Int?
    @Option(help: "How long a session can be taken up after its last socket (default: 86400000).")
    var sessionMs: Int?
    @Option(help: "How long after its last sign of life a node may be declared dead (default: 5000).")
    var leaseMs: Int?
    @Option(help: "How long a request waits for the database before `unavailable` (default: 5000).")
    var requestTimeoutMs: Int?
    @Option(help: "How long the node may take to close its sockets after SIGTERM (default: 8000).")
    var drainMs: Int?
    @Option(help: "Over what time it closes them, when there are many (default: 2000).")
    var drainSpreadMs: Int?
    @Option(help: "WebSocket connections; one more is told to come back later (default: 20000).")
    var socketsMax: Int?
    @Option(help: "Who may see the live console at /console: off, local (this machine), or all (default: off).")
    var console: NodeConfiguration.Console?
    @Option(help: "Threads that serve sockets (default: one less than there are cores, at least one).")
    var eventLoops: Int?
    @Option(
        help: "trace, debug, info, notice, warning, error or critical (default: info).",
        transform: { text in
            guard let level = Logger.Level(rawValue: text) else {
                throw ValidationError("there is no log level \"\(text)\"")
            }
            return level
        })
    var logLevel: Logger.Level?
    @Option(help: "A file of PARLEY_NAME=value lines.")
    var config: String?
    @Flag(help: "Serve clients without a credential.")
    var allowAnonymous = false
    @Flag(help: "Do not bring the schema up to date; it must be already.")
    var noMigrate = false

    func run() async throws {
        let node: NodeConfiguration
        do {
            node = try nodeConfiguration()
        } catch let problem as Settings.Problem {
            throw fail(problem.description, code: 64)
        }
        if let problem = node.problem() { throw fail(problem, code: 64) }
        do {
            try await Node.run(node)
        } catch let failure as StartFailure {
            throw fail(failure.description, code: 69)
        }
    }

    private func nodeConfiguration() throws -> NodeConfiguration {
        let settings = try Settings(
            environment: ProcessInfo.processInfo.environment,
            file: config ?? ProcessInfo.processInfo.environment["PARLEY_CONFIG"])
        let ownName = "\(ProcessInfo.processInfo.hostName)-\(ProcessInfo.processInfo.processIdentifier)"
        var node = NodeConfiguration(nodeName: nodeName ?? settings.text("node-name") ?? ownName)
        node.databaseURL = databaseURL ?? settings.text("database-url")
        node.listenURL = listenURL ?? settings.text("listen-url")
        node.host = host ?? settings.text("host") ?? node.host
        node.port = try port ?? settings.integer("port") ?? node.port
        node.store = try store ?? settings.choice("store", NodeConfiguration.Store.self) ?? node.store
        node.feed = try feed ?? settings.choice("feed", NodeConfiguration.Feed.self) ?? node.feed
        node.pollMs = try pollMs ?? settings.integer("poll-ms") ?? node.pollMs
        node.tickMs = try tickMs ?? settings.integer("tick-ms") ?? node.tickMs
        node.graceMs = try graceMs ?? settings.integer("grace-ms") ?? node.graceMs
        node.sessionMs = try sessionMs ?? settings.integer("session-ms") ?? node.sessionMs
        node.leaseMs = try leaseMs ?? settings.integer("lease-ms") ?? node.leaseMs
        node.requestTimeoutMs =
            try requestTimeoutMs ?? settings.integer("request-timeout-ms") ?? node.requestTimeoutMs
        node.drainMs = try drainMs ?? settings.integer("drain-ms") ?? node.drainMs
        node.socketsMax = try socketsMax ?? settings.integer("sockets-max") ?? node.socketsMax
        node.drainSpreadMs = try drainSpreadMs ?? settings.integer("drain-spread-ms") ?? node.drainSpreadMs
        node.console = try console ?? settings.choice("console", NodeConfiguration.Console.self) ?? node.console
        node.eventLoops = try eventLoops ?? settings.integer("event-loops") ?? node.eventLoops
        node.logLevel = try logLevel ?? settings.choice("log-level", Logger.Level.self) ?? node.logLevel
        let settingsAllowAnonymous = try settings.flag("allow-anonymous") ?? false
        node.allowAnonymous = allowAnonymous || settingsAllowAnonymous
        let settingsNoMigrate = try settings.flag("no-migrate") ?? false
        node.migrates = !(noMigrate || settingsNoMigrate)
        return node
    }
}

extension NodeConfiguration.Store: ExpressibleByArgument {}
extension NodeConfiguration.Feed: ExpressibleByArgument {}
extension NodeConfiguration.Console: ExpressibleByArgument {}
