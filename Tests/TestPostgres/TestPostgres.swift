import Foundation
public import ParleyCluster

/// PostgreSQL for a test process: one private server, started when the first test asks for a database, gone with its data when
/// the process has ended, however it ended.
///
/// ```swift
/// let url = try await TestPostgres.shared.makeDatabase()
/// ```
/// With `PARLEY_TEST_DATABASE_URL` set, the databases are made on that server instead; its role has to be allowed to.
public actor TestPostgres {
    public static let shared = TestPostgres()

    private enum Place: Sendable {
        case own(LocalPostgres)
        case given(PsqlClient, url: String)
    }

    private var place: Task<Place, any Error>?
    private var databases = 0
    /// Tells this process's databases from those of others on a given server.
    private let mark = "parley_test_\(String(UInt32.random(in: .min ... .max), radix: 36))"

    private init() {}

    /// The connection string of a fresh, empty database. It is dropped with the server at the end of the process; `drop`
    /// does it earlier.
    ///
    /// - Parameter template: the connection string of another database made here, which is copied; nobody may be connected
    ///   to it.
    public func makeDatabase(template: String? = nil) async throws -> String {
        databases += 1
        let name = "\(mark)_\(databases)"
        let model = template.map(Self.databaseName) ?? "template1"
        switch try await whereTo() {
        case .own(let server):
            try await server.createDatabase(name, template: model)
            return try server.url(database: name)
        case .given(let client, let url):
            try await client.createDatabase(name, template: model)
            return Self.url(url, database: name)
        }
    }

    /// Drops a database that `makeDatabase` made, whoever is connected.
    public func drop(_ url: String) async throws {
        let name = Self.databaseName(url)
        switch try await whereTo() {
        case .own(let server): try await server.dropDatabase(name)
        case .given(let client, _): try await client.dropDatabase(name)
        }
    }

    /// A server of its own for tests that stop, kill and restart it: not started yet, in a new folder, and gone with this
    /// process like the shared one.
    public static func makeServer(settings: [String: String] = [:]) throws -> LocalPostgres {
        LocalPostgres(folder: try makeFolder("postgres"), settings: settings)
    }

    /// A new folder that is gone with this process, as are all processes that work in it or below.
    public static func makeFolder(_ purpose: String) throws -> String {
        let mark = String(UInt32.random(in: .min ... .max), radix: 36)
        let folder = "\(try root.get())/\(purpose)-\(mark)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        return folder
    }

    /// One folder, and one watchdog, for all that this process makes.
    private static let root = Result<String, any Error> {
        let place = FileManager.default.temporaryDirectory.resolvingSymlinksInPath().path
        let folder =
            "\(place)/parley-test-\(ProcessInfo.processInfo.processIdentifier)-"
            + String(UInt32.random(in: .min ... .max), radix: 36)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        try Watchdog.watch(folder: folder)
        return folder
    }

    private func whereTo() async throws -> Place {
        if let place { return try await place.value }
        let mark = mark
        let task = Task<Place, any Error> {
            if let url = ProcessInfo.processInfo.environment["PARLEY_TEST_DATABASE_URL"], !url.isEmpty {
                let binaries = try await PostgresBinaries.find()
                try Watchdog.watch(databasesMarked: mark, at: url, binaries)
                return .given(PsqlClient(binaries: binaries, url: url), url: url)
            }
            let server = try Self.makeServer()
            try await server.start()
            return .own(server)
        }
        place = task
        return try await task.value
    }

    static func databaseName(_ url: String) -> String {
        url.prefix { $0 != "?" }.split(separator: "/").last.map(String.init) ?? ""
    }

    /// The same server, another database. A URL always has a path after its host here, empty or not.
    static func url(_ url: String, database: String) -> String {
        let query = url.drop { $0 != "?" }
        let parts = url.prefix { $0 != "?" }.split(separator: "/", omittingEmptySubsequences: false).prefix(3)
        return parts.joined(separator: "/") + "/" + database + query
    }
}
