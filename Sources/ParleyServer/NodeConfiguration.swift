import Foundation
public import Logging
public import ParleyCore
import ParleyGateway

/// Everything that can be set for one node, with the defaults. `docs/CONFIGURATION.md` lists the same.
public struct NodeConfiguration: Sendable {
    public enum Store: String, Sendable, CaseIterable { case postgres, memory }
    public enum Feed: String, Sendable, CaseIterable { case notify, poll }
    /// Who may see the console.
    public enum Console: String, Sendable, CaseIterable { case off, local, all }

    /// A libpq connection string, URI or keywords; TLS and several hosts as libpq gives them.
    public var databaseURL: String?
    /// The same database by a way that passes notifications on, when `databaseURL` goes by a pooler in transaction
    /// mode.
    public var listenURL: String?
    public var host = "127.0.0.1"
    /// 0 takes a free one.
    public var port = 8080
    /// For people: nodes tell each other apart without it.
    public var nodeName: String
    public var store = Store.postgres
    public var feed = Feed.notify
    public var pollMs = 500
    /// At most one update per room and member in this time. 1 to 1,000.
    public var tickMs = 20
    /// How long a member whose socket was lost stays a member. 100 to 3,600,000.
    public var graceMs = 15_000
    /// How long a session can be taken up after its last socket. 1,000 to 2,592,000,000.
    public var sessionMs = 86_400_000
    /// How long after its last sign of life a node may be declared dead. 1,000 to 600,000.
    public var leaseMs = 5_000
    /// How long a request waits for the database before it is answered with `unavailable`. 100 to 60,000.
    public var requestTimeoutMs = 5_000
    /// How long the node has, after SIGTERM, to close the sockets and to write what their clients sent. 0 to 600,000.
    public var drainMs = 8_000
    /// Over what time the sockets are closed then, when there are many; half of `drainMs` at most. 0 to 600,000.
    public var drainSpreadMs = 2_000
    /// WebSocket connections; one more is told to come back later. 1 to 1,000,000.
    public var socketsMax = 20_000
    /// Clients without a credential are served. There is no other way to be served yet, so this must be said.
    public var allowAnonymous = false
    public var console = Console.off
    /// The schema is brought up to date before the node serves.
    public var migrates = true
    /// Threads that serve sockets: one core is left to the database's connections. 1 to 128.
    public var eventLoops = max(1, ProcessInfo.processInfo.activeProcessorCount - 1)
    public var logLevel = Logger.Level.info
    public var limits = Limits()

    public init(nodeName: String) { self.nodeName = nodeName }

    /// What is wrong, and what to do; nil when the node can start.
    public func problem() -> String? {
        if !allowAnonymous {
            return
                "no way to know clients is set: pass --allow-anonymous (or PARLEY_ALLOW_ANONYMOUS=1) to serve everybody"
        }
        if store == .postgres, (databaseURL ?? "").isEmpty {
            return "no database: pass --database-url postgresql://USER@HOST/DATABASE (or PARLEY_DATABASE_URL), "
                + "or --store memory for one process without one"
        }
        if nodeName.isEmpty || nodeName.utf8.count > 64 { return "--node-name must have 1 to 64 bytes" }
        if host.isEmpty { return "--host must be an address to listen on, or a name of one" }
        let bounds: [(String, Int, ClosedRange<Int>)] = [
            ("--port", port, 0...65_535), ("--poll-ms", pollMs, 10...60_000), ("--tick-ms", tickMs, 1...1_000),
            ("--grace-ms", graceMs, 100...3_600_000), ("--session-ms", sessionMs, 1_000...2_592_000_000),
            ("--lease-ms", leaseMs, 1_000...600_000),
            ("--request-timeout-ms", requestTimeoutMs, 100...60_000), ("--drain-ms", drainMs, 0...600_000),
            ("--drain-spread-ms", drainSpreadMs, 0...600_000),
            ("--sockets-max", socketsMax, 1...1_000_000), ("--event-loops", eventLoops, 1...128),
        ]
        for (name, value, range) in bounds where !range.contains(value) {
            return "\(name) is \(value); it must be from \(range.lowerBound) to \(range.upperBound)"
        }
        return nil
    }
}

extension NodeConfiguration.Console {
    var access: ConsoleAccess {
        switch self {
        case .off: .nobody
        case .local: .thisMachine
        case .all: .everybody
        }
    }
}
