import Foundation

/// A private PostgreSQL server whose data, log and socket are in one folder. It listens on the loopback interface only.
///
/// All state is in the folder: two values for one folder, in one process or in two, speak of the same server. Whoever may
/// use this machine may connect to it as its superuser, without a password: it is for development and tests.
public struct LocalPostgres: Sendable {
    /// The superuser that `url` names.
    public static let user = "parley"
    public static let maxConnections = 200
    /// Of the server and of each process that works for it.
    static let processName = "postgres"

    /// Absolute, without symbolic links.
    public let folder: String
    /// The port that was asked for; nil for the one that was used before or else any free one.
    public let port: UInt16?
    /// Server settings above those of the data folder's files, for example `fsync`.
    public let settings: [String: String]

    public var dataFolder: String { "\(folder)/data" }
    public var logFile: String { "\(folder)/postgres.log" }

    public init(folder: String, port: UInt16? = nil, settings: [String: String] = [:]) {
        self.folder = Folder.resolved(folder)
        self.port = port
        self.settings = settings
    }

    public struct Running: Sendable, Equatable {
        public var process: ProcessIdentity
        public var port: UInt16
    }

    /// The server of this folder if it runs and accepts connections.
    public var running: Running? {
        guard let file = PostmasterFile(dataFolder: dataFolder), file.isReady, let port = file.port,
            let process = postmaster(file)
        else { return nil }
        return Running(process: process, port: port)
    }

    /// A connection string for a database of the running server.
    ///
    /// - Throws: `unavailable` when it does not run.
    public func url(database: String = "postgres") throws(LocalServiceError) -> String {
        guard let running else {
            throw LocalServiceError(.unavailable, "the PostgreSQL of \(folder) does not run")
        }
        return "postgresql://\(Self.user)@127.0.0.1:\(running.port)/\(database)"
    }

    /// Makes a database, unless there is one of that name; says whether it did.
    ///
    /// - Parameter template: copied; nobody may be connected to it.
    @discardableResult
    public func createDatabase(_ name: String, template: String = "template1") async throws -> Bool {
        try await client().createDatabase(name, template: template)
    }

    /// Ends the connections to a database and drops it, if there is one.
    public func dropDatabase(_ name: String) async throws { try await client().dropDatabase(name) }

    /// Runs SQL in psql: the rows as text, columns separated by `|`.
    @discardableResult
    public func query(_ sql: String, database: String = "postgres") async throws -> String {
        try await client(database: database).query(sql)
    }

    func client(database: String = "postgres") async throws -> PsqlClient {
        PsqlClient(binaries: try await binaries(), url: try url(database: database))
    }

    /// The programs that fit the data folder, if there is one.
    public func binaries() async throws -> PostgresBinaries {
        let version = try? String(contentsOfFile: "\(dataFolder)/PG_VERSION", encoding: .utf8)
        return try await PostgresBinaries.find(major: version.flatMap { PostgresBinaries.major(in: $0) })
    }

    /// The process that the file names, if it is still this folder's server and not a later one with the same number.
    func postmaster(_ file: PostmasterFile) -> ProcessIdentity? {
        guard let process = ProcessIdentity(pid: file.pid) else { return nil }
        // A server works in its data folder. Where another user's is hidden from us, its command line still names it.
        let isOurs =
            if let place = ProcessTable.link("/proc/\(file.pid)/cwd") {
                place == dataFolder
            } else {
                ProcessTable.arguments(of: file.pid).contains(dataFolder)
            }
        return isOurs ? process : nil
    }
}
