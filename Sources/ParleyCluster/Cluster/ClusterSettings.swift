/// What a cluster on this machine consists of. Kept in its folder from `up` to `down`, so that the other commands know.
public struct ClusterSettings: Codable, Equatable, Sendable {
    public enum Store: String, Codable, Sendable, CaseIterable {
        case postgres
        case memory
    }

    public enum Feed: String, Codable, Sendable, CaseIterable {
        case notify
        case poll
    }

    public static let nodesMax = 32

    public var nodes = 3
    /// Where clients connect; the nodes have the ports after it.
    public var port: UInt16 = 8080
    /// The address on which the proxy listens. The nodes stay on the loopback interface.
    public var host = "127.0.0.1"
    public var proxy = true
    /// nil for the cluster's own server.
    public var databaseURL: String?
    /// Of the cluster's own server; nil for any free one.
    public var postgresPort: UInt16?
    public var store = Store.postgres
    public var feed = Feed.notify
    public var pollMs = 500
    /// Passed on to every node, for example `--tick-ms 50`.
    public var serveOptions: [String] = []

    public init() {}

    public func port(ofNode node: Int) -> UInt16 { port + UInt16(node) }

    public static func name(ofNode node: Int) -> String { "n\(node)" }

    /// The node that a person means by `2` or `n2`.
    public func node(named text: String) throws(LocalServiceError) -> Int {
        let digits = text.hasPrefix("n") ? text.dropFirst() : text[...]
        guard let node = Int(digits), (1...nodes).contains(node) else {
            throw LocalServiceError(.usage, "there is no node '\(text)': this cluster has n1 to n\(nodes)")
        }
        return node
    }

    /// The arguments of one node's process.
    func serveArguments(node: Int) -> [String] {
        var arguments = [
            "serve", "--node-name", Self.name(ofNode: node), "--host", "127.0.0.1",
            "--port", String(port(ofNode: node)), "--allow-anonymous", "--store", store.rawValue,
        ]
        switch store {
        case .postgres:
            arguments += ["--feed", feed.rawValue]
            switch feed {
            case .notify: break
            case .poll: arguments += ["--poll-ms", String(pollMs)]
            }
        case .memory: break
        }
        return arguments + serveOptions
    }

    func checked() throws(LocalServiceError) -> ClusterSettings {
        guard (1...Self.nodesMax).contains(nodes) else {
            throw LocalServiceError(.usage, "--nodes is \(nodes), but 1 to \(Self.nodesMax) are possible")
        }
        guard port >= 1, Int(port) + nodes <= 65_535 else {
            throw LocalServiceError(.usage, "--port \(port) leaves no ports for \(nodes) nodes after it")
        }
        if let postgresPort, (Int(port)...Int(port) + nodes).contains(Int(postgresPort)) {
            throw LocalServiceError(.usage, "--postgres-port \(postgresPort) is the proxy's or a node's port")
        }
        if store == .memory, databaseURL != nil {
            throw LocalServiceError(.usage, "--store memory keeps nothing in a database: leave out --database-url")
        }
        guard (1...60_000).contains(pollMs) else {
            throw LocalServiceError(.usage, "--poll-ms is \(pollMs), but 1 to 60000 are possible")
        }
        return self
    }
}
