/// One thing that goes wrong. Nodes are numbered from 0.
public enum Fault: Sendable, Equatable, CustomStringConvertible {
    /// SIGKILL, and started again after a while.
    case nodeKilled(Int)
    /// SIGTERM, and started again when it has ended.
    case nodeTerminated(Int)
    /// SIGSTOP, and SIGCONT after a while.
    case nodePaused(Int)
    /// `pg_ctl stop -m immediate`, and started again after a while.
    case databaseCrashed
    /// `pg_terminate_backend` on every second of the nodes' connections, or on all.
    case backendsTerminated(all: Bool)
    case clientLinksCut(Int, byReset: Bool)
    /// No byte passes for a while; nothing is lost.
    case clientLinksStalled(Int)
    case clientLinksDelayed(Int, ms: Int64)
    case databaseLinksCut(Int, byReset: Bool)
    case databaseLinksStalled(Int)
    case databaseLinksDelayed(Int, ms: Int64)
    /// The database gets everything, the node hears nothing; then the connections are cut.
    case databaseAnswersLost(Int)

    /// The node on which what clients have sent waits: should they go on elsewhere meanwhile, it comes behind them.
    var slowNode: Int? {
        switch self {
        case .nodePaused(let node), .databaseLinksStalled(let node), .databaseLinksDelayed(let node, _): node
        case .nodeKilled, .nodeTerminated, .databaseCrashed, .backendsTerminated, .clientLinksCut, .clientLinksStalled,
            .clientLinksDelayed, .databaseLinksCut, .databaseAnswersLost:
            nil
        }
    }

    /// For the summary.
    public var kind: String { description.prefix { $0 != ":" }.description }

    public var description: String {
        switch self {
        case .nodeKilled(let node): "node killed: n\(node + 1)"
        case .nodeTerminated(let node): "node terminated: n\(node + 1)"
        case .nodePaused(let node): "node paused: n\(node + 1)"
        case .databaseCrashed: "database crashed:"
        case .backendsTerminated(let all): "backends terminated: \(all ? "all" : "every second")"
        case .clientLinksCut(let node, let byReset): "client links cut: n\(node + 1)\(byReset ? ", reset" : "")"
        case .clientLinksStalled(let node): "client links stalled: n\(node + 1)"
        case .clientLinksDelayed(let node, let ms): "client links delayed: n\(node + 1) by \(ms) ms"
        case .databaseLinksCut(let node, let byReset): "database links cut: n\(node + 1)\(byReset ? ", reset" : "")"
        case .databaseLinksStalled(let node): "database links stalled: n\(node + 1)"
        case .databaseLinksDelayed(let node, let ms): "database links delayed: n\(node + 1) by \(ms) ms"
        case .databaseAnswersLost(let node): "database answers lost: n\(node + 1)"
        }
    }
}
