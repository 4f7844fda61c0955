import Foundation

/// A whole Parley cluster on this machine: a private PostgreSQL, the nodes, and HAProxy in front of them. All run on without
/// the command that started them.
///
/// All state is in one folder; two values for one folder speak of the same cluster.
public struct LocalCluster: Sendable {
    /// The database of the rooms on the cluster's own server.
    public static let database = "parley"
    public static let folderName = ClusterFolder.name

    let folder: ClusterFolder
    /// The executable that understands `serve` and `migrate`.
    let server: String
    /// Is told what is being done, a line at a time.
    let say: @Sendable (String) -> Void

    /// How long one command waits while another one works on the same cluster.
    static let lockBound = Duration.seconds(180)
    static let migrateBound = Duration.seconds(120)
    /// From the start of a node until it is ready.
    static let readyBound = Duration.seconds(45)
    /// From SIGTERM to SIGKILL: a node says goodbye to its clients meanwhile.
    static let drainBound = Duration.seconds(15)

    public init(folder: String, server: String, say: @escaping @Sendable (String) -> Void) {
        self.folder = ClusterFolder(folder)
        self.server = server
        self.say = say
    }

    /// How to type a command for this cluster: with the folder, unless it is the one that is meant without.
    func command(_ command: String) -> String {
        folder.path == ClusterFolder(Self.folderName).path
            ? "'parley cluster \(command)'" : "'parley cluster \(command) --folder \(folder.path)'"
    }

    /// Where everything of this cluster is.
    public var path: String { folder.path }

    func lock() async throws -> FileLock {
        try await FileLock(folder.lockFile, within: Self.lockBound) {
            say("waiting for another 'parley cluster' command to be done")
        }
    }

    /// - Throws: `unavailable` when no cluster was started here.
    func storedSettings() throws(LocalServiceError) -> ClusterSettings {
        guard let settings = try folder.readSettings() else {
            throw LocalServiceError(
                .unavailable,
                "no cluster in \(folder.path): start one with \(command("up")), or say where with --folder")
        }
        return settings
    }

    /// The connection string of the database of the cluster that was last started here; nil when there is none, or it has
    /// no database.
    public func databaseURL() throws(LocalServiceError) -> String? {
        guard let settings = try folder.readSettings() else { return nil }
        return try databaseURL(settings)
    }

    func node(_ node: Int, _ settings: ClusterSettings) -> ClusterService {
        let name = ClusterSettings.name(ofNode: node)
        return ClusterService(
            name: name, port: settings.port(ofNode: node), folder: folder, mark: ["serve", "--node-name", name])
    }

    func nodes(_ settings: ClusterSettings) -> [ClusterService] {
        (1...settings.nodes).map { node($0, settings) }
    }

    func proxy(_ settings: ClusterSettings) -> ClusterService {
        ClusterService(
            name: "haproxy", port: settings.port, folder: folder, mark: ["-f", folder.proxyFile])
    }

    /// nil when the rooms are kept elsewhere.
    func postgres(_ settings: ClusterSettings) -> LocalPostgres? {
        switch settings.store {
        case .memory: nil
        case .postgres:
            settings.databaseURL == nil ? LocalPostgres(folder: folder.postgres, port: settings.postgresPort) : nil
        }
    }

    /// nil when there is no database.
    func databaseURL(_ settings: ClusterSettings) throws(LocalServiceError) -> String? {
        switch settings.store {
        case .memory: nil
        case .postgres:
            if let postgres = postgres(settings) {
                try postgres.url(database: Self.database)
            } else {
                settings.databaseURL
            }
        }
    }

    /// The server's executable with these arguments, told of the database in the environment, where other users of this
    /// machine can't read the password that a given connection string may hold.
    func serverCommand(_ arguments: [String], databaseURL: String?) -> Command {
        var environment = ProcessInfo.processInfo.environment
        environment["PARLEY_DATABASE_URL"] = databaseURL
        return Command(server, arguments, environment: environment, folder: folder.path)
    }

    func isAnythingRunning(_ settings: ClusterSettings) -> Bool {
        proxy(settings).process != nil || nodes(settings).contains { $0.process != nil }
            || postgres(settings)?.running != nil
    }
}
