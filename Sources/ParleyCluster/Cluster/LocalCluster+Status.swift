import Foundation

extension LocalCluster {
    /// - Throws: `unavailable` when no cluster was started here.
    public func status() async throws -> ClusterStatus {
        let settings = try storedSettings()
        var services = nodes(settings)
        if settings.proxy { services.insert(proxy(settings), at: 0) }
        var parts = await withTaskGroup(of: (Int, ClusterStatus.Part).self) { group in
            for (place, service) in services.enumerated() { group.addTask { (place, await part(service)) } }
            return await group.reduce(into: []) { $0.append($1) }
        }.sorted { $0.0 < $1.0 }.map(\.1)
        if let postgres = postgres(settings) {
            let running = postgres.running
            parts.append(
                ClusterStatus.Part(
                    name: "postgres", pid: running?.process.pid, port: running?.port ?? settings.postgresPort,
                    state: running == nil ? .down : .ready, uptime: running?.process.uptime,
                    log: shown(postgres.logFile)))
        }
        return ClusterStatus(parts: parts)
    }

    private func part(_ service: ClusterService) async -> ClusterStatus.Part {
        let process = service.process
        var state = ClusterStatus.State.down
        if process != nil {
            let isReady = await HTTPProbe.status(port: service.port, path: Self.readyPath) == 200
            state = isReady ? .ready : .notReady
        }
        return ClusterStatus.Part(
            name: service.name, pid: process?.pid, port: service.port, state: state, uptime: process?.uptime,
            log: shown(service.logFile))
    }

    /// Relative to where the person is, if it is below.
    private func shown(_ path: String) -> String {
        let here = Folder.resolved(FileManager.default.currentDirectoryPath) + "/"
        return path.hasPrefix(here) ? String(path.dropFirst(here.count)) : path
    }

    /// Where clients connect.
    public func address() throws -> String {
        let settings = try storedSettings()
        let host = settings.host == "0.0.0.0" || settings.host == "127.0.0.1" ? "localhost" : settings.host
        return "\(host):\(settings.proxy ? settings.port : settings.port(ofNode: 1))"
    }

    public var hasDatabase: Bool {
        get throws { try storedSettings().store == .postgres }
    }

    /// psql, connected to the cluster's database.
    ///
    /// - Throws: `unavailable` when PostgreSQL does not run or psql is not installed, `usage` for a cluster without one.
    public func psql(_ arguments: [String]) async throws -> Command {
        let settings = try storedSettings()
        guard let url = try databaseURL(settings) else {
            throw LocalServiceError(.usage, "this cluster keeps its rooms in memory: there is no database")
        }
        let psql: String?
        if let postgres = postgres(settings) {
            psql = try await postgres.binaries().psql
        } else {
            psql = Command.find("psql")
        }
        guard let psql else {
            throw LocalServiceError(.unavailable, "psql is not installed: apt-get install postgresql-client")
        }
        return Command(psql, [url] + arguments, folder: FileManager.default.currentDirectoryPath)
    }
}
