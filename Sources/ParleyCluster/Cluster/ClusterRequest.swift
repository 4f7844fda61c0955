/// What `up` was asked for: nil leaves a setting as it is.
public struct ClusterRequest: Sendable {
    public var nodes: Int?
    public var port: UInt16?
    public var host: String?
    public var proxy: Bool?
    public var databaseURL: String?
    public var postgresPort: UInt16?
    public var store: ClusterSettings.Store?
    public var feed: ClusterSettings.Feed?
    public var pollMs: Int?
    public var serveOptions: [String]?

    public init() {}

    /// The settings that the cluster gets.
    ///
    /// A cluster that runs may grow, and get a proxy; anything else would need other processes than those that run.
    /// - Parameters:
    ///   - stored: those of the last `up`, if no `down` came after it.
    ///   - isRunning: whether anything of it runs.
    ///   - down: how to type the command that ends it.
    /// - Throws: `usage` naming what does not fit.
    func settings(
        stored: ClusterSettings?, isRunning: Bool, down: String = "'parley cluster down'"
    ) throws(LocalServiceError) -> ClusterSettings {
        var settings = stored ?? ClusterSettings()
        settings.nodes = nodes ?? settings.nodes
        settings.port = port ?? settings.port
        settings.host = host ?? settings.host
        settings.proxy = proxy ?? settings.proxy
        settings.databaseURL = databaseURL ?? settings.databaseURL
        settings.postgresPort = postgresPort ?? settings.postgresPort
        settings.store = store ?? settings.store
        settings.feed = feed ?? settings.feed
        settings.pollMs = pollMs ?? settings.pollMs
        settings.serveOptions = serveOptions ?? settings.serveOptions
        let wanted = try settings.checked()
        guard isRunning, let stored else { return wanted }

        var differences: [String] = []
        func compare<Value: Equatable>(_ option: String, _ old: Value, _ new: Value) {
            if old != new { differences.append(option) }
        }
        if wanted.nodes < stored.nodes { differences.append("fewer --nodes") }
        if stored.proxy, !wanted.proxy { differences.append("--no-proxy") }
        compare("--port", stored.port, wanted.port)
        compare("--host", stored.host, wanted.host)
        compare("--database-url", stored.databaseURL, wanted.databaseURL)
        compare("--postgres-port", stored.postgresPort, wanted.postgresPort)
        compare("--store", stored.store, wanted.store)
        compare("--feed", stored.feed, wanted.feed)
        compare("--poll-ms", stored.pollMs, wanted.pollMs)
        compare("other node options", stored.serveOptions, wanted.serveOptions)
        guard differences.isEmpty else {
            throw LocalServiceError(
                .usage,
                "a cluster runs here with other settings (\(differences.joined(separator: ", "))): "
                    + "end it first with \(down), or leave these options out")
        }
        return wanted
    }
}
