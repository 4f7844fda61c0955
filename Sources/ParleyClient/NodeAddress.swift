/// Where a node, or what balances between nodes, is reached: `ws://host:port/ws`.
public struct NodeAddress: Sendable, Equatable, CustomStringConvertible {
    public var host: String
    public var port: Int
    public var path: String

    public init(host: String, port: Int, path: String = "/ws") {
        self.host = host
        self.port = port
        self.path = path
    }

    /// Takes `ws://host[:port][/path]` and `http://…`; nil for anything else. The default port is 80, the default path `/ws`.
    public init?(_ url: String) {
        guard let scheme = ["ws://", "http://"].first(where: url.hasPrefix) else { return nil }
        let rest = url.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" }
        let path = rest.dropFirst(authority.count)
        let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
        guard let host = parts.first, !host.isEmpty, parts.count <= 2 else { return nil }
        if parts.count == 2 {
            guard let port = Int(parts[1]), (1...65_535).contains(port) else { return nil }
            self.port = port
        } else {
            port = 80
        }
        self.host = String(host)
        self.path = path.isEmpty || path == "/" ? "/ws" : String(path)
    }

    public var description: String { "ws://\(host):\(port)\(path)" }
}
