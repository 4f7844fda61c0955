import Foundation

extension LocalPostgres {
    public enum Start: Sendable, Equatable {
        case started
        case ranAlready
    }

    /// How long one of several commands on the same folder waits for the others.
    static let lockBound = Duration.seconds(120)
    /// Processes of a killed server end when they notice, at the end of what they do.
    static let orphanBound = Duration.seconds(20)
    static let initBound = Duration.seconds(120)
    /// Another program may take a free port between the choice and the start.
    static let portTriesMax = 5

    /// Makes the data if there is none, starts the server if it does not run, and returns when it accepts connections. After
    /// a crash of the server or of the machine it recovers first.
    ///
    /// - Parameter bound: how long the start may take, with the recovery.
    /// - Throws: `unavailable` when PostgreSQL or the port is not to be had, `usage` when it runs on another port than asked
    ///   for or the folder is out of reach, `failed` with the end of the server's log otherwise.
    @discardableResult
    public func start(within bound: Duration = .seconds(60)) async throws -> Start {
        let user = try ServiceUser.forServer(dataFolder: dataFolder)
        try await prepareFolder(user)
        let lock = try await FileLock("\(folder)/lock", within: Self.lockBound)
        defer { withExtendedLifetime(lock) {} }
        if try await waitForRunning(within: bound) { return .ranAlready }
        let binaries = try await binaries()
        try await makeData(binaries, user)
        try await removeRemains()
        for attempt in 1...Self.portTriesMax {
            let port = try choosePort(isFirst: attempt == 1)
            if try await launch(binaries, user, port: port, within: bound) {
                try Data("\(port)\n".utf8).write(to: URL(fileURLWithPath: portFile))
                return .started
            }
        }
        throw LocalServiceError(.failed, "PostgreSQL found its port taken \(Self.portTriesMax) times: \(logTail())")
    }

    /// Waits for a server that runs but is not ready yet, or is about to end.
    private func waitForRunning(within bound: Duration) async throws -> Bool {
        let end = ContinuousClock.now + bound
        while let file = PostmasterFile(dataFolder: dataFolder), postmaster(file) != nil {
            if file.isReady {
                if let port, file.port != port {
                    throw LocalServiceError(
                        .usage, "PostgreSQL runs here on port \(file.port ?? 0): stop it first to have it on \(port)")
                }
                return true
            }
            guard ContinuousClock.now < end else {
                throw LocalServiceError(
                    .failed, "PostgreSQL (process \(file.pid)) was not ready after \(bound): \(logTail())")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        return false
    }

    private func prepareFolder(_ user: ServiceUser?) async throws {
        try Folder.make(folder)
        if let user {
            try await user.checkCanReach((folder as NSString).deletingLastPathComponent)
            try Folder.give(folder, to: user)
        } else if let owner = Folder.owner(of: folder), owner != ServiceUser.currentID {
            throw LocalServiceError(
                .usage, "\(folder) belongs to another user: run this as that user, or choose another folder")
        }
    }

    /// A half-finished folder never has the final name: that is given when all is there.
    private func makeData(_ binaries: PostgresBinaries, _ user: ServiceUser?) async throws {
        let unfinished = "\(folder)/data.unfinished"
        try Folder.remove(unfinished)
        guard !FileManager.default.fileExists(atPath: "\(dataFolder)/PG_VERSION") else { return }
        if let entries = try? FileManager.default.contentsOfDirectory(atPath: dataFolder), !entries.isEmpty {
            throw LocalServiceError(
                .usage, "\(dataFolder) is not empty and holds no PostgreSQL data: remove it or choose another folder")
        }
        try Folder.remove(dataFolder)
        let arguments = [
            "--pgdata=\(unfinished)", "--username=\(Self.user)", "--auth=trust", "--encoding=UTF8",
            "--locale=C.UTF-8", "--no-instructions",
        ]
        let command = Command(binaries.initdb, arguments, environment: Self.environment)
        try await (user?.running(command) ?? command).succeed(within: Self.initBound, to: "make the database's data")
        let file = "\(unfinished)/postgresql.conf"
        let text = try String(contentsOfFile: file, encoding: .utf8)
        try Data((text + Self.configuration).utf8).write(to: URL(fileURLWithPath: file))
        try Folder.rename(unfinished, to: dataFolder)
    }

    private static let configuration = """

        # Set when the data was made; ALTER SYSTEM and later lines overrule it.
        listen_addresses = '127.0.0.1'
        max_connections = \(maxConnections)

        """

    /// What a killed server leaves: processes that still work in the folder, and files that name it, which a new server
    /// would take for a sign of life.
    private func removeRemains() async throws {
        let end = ContinuousClock.now + Self.orphanBound
        while case let orphans = ProcessTable.workers(in: dataFolder, named: Self.processName), !orphans.isEmpty {
            guard ContinuousClock.now < end else {
                throw LocalServiceError(
                    .failed,
                    "a server that was killed has left processes in \(dataFolder): \(orphans). End them, then try again"
                )
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        // Their numbers may be another program's by now, or still the dead server's own if nobody has collected it.
        try Folder.remove(PostmasterFile.path(in: dataFolder))
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        where name.hasPrefix(".s.PGSQL.") {
            try Folder.remove("\(folder)/\(name)")
        }
    }

    private var portFile: String { "\(folder)/port" }

    private func choosePort(isFirst: Bool) throws(LocalServiceError) -> UInt16 {
        if let port {
            guard TCPPort.isFree(port) else {
                let holder = TCPPort.listener(on: port).map { " by \($0.name) (process \($0.pid))" } ?? ""
                throw LocalServiceError(.unavailable, "port \(port), wanted for PostgreSQL, is in use\(holder)")
            }
            return port
        }
        let before = (try? String(contentsOfFile: portFile, encoding: .utf8))
            .flatMap { UInt16($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        if isFirst, let before, TCPPort.isFree(before) { return before }
        return try TCPPort.free()
    }

    /// Says false when somebody else was faster at taking the port.
    private func launch(
        _ binaries: PostgresBinaries, _ user: ServiceUser?, port: UInt16, within bound: Duration
    ) async throws -> Bool {
        let log = try ProcessFile(appendingTo: logFile)
        let logStart = size(of: logFile)
        let all = settings.merging(["unix_socket_directories": socketFolder]) { given, _ in given }
        let arguments =
            ["-D", dataFolder, "-p", String(port)]
            + all.sorted { $0.key < $1.key }.flatMap { ["-c", "\($0.key)=\($0.value)"] }
        let command = Command(binaries.postgres, arguments, environment: Self.environment)
        let child = try Child(
            try user?.running(command) ?? command, lifetime: .daemon, output: log.number, errors: log.number)
        let end = ContinuousClock.now + bound
        while true {
            if let file = PostmasterFile(dataFolder: dataFolder), file.pid == child.pid, file.isReady { return true }
            if child.exitCode() != nil {
                if self.port == nil, logTail(from: logStart).contains("could not create any TCP/IP sockets") {
                    return false
                }
                throw LocalServiceError(.failed, "PostgreSQL did not start: \(logTail(from: logStart))")
            }
            guard ContinuousClock.now < end else {
                try await stop(.immediate)
                throw LocalServiceError(
                    .failed, "PostgreSQL was not ready after \(bound): \(logTail(from: logStart))")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// In the folder, or none where its name would be too long for the kernel (107 bytes with `/.s.PGSQL.65535`).
    var socketFolder: String { folder.utf8.count <= 88 ? folder : "" }

    /// The caller's `PG…` variables are meant for other servers.
    static var environment: [String: String] {
        ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("PG") }
    }

    private func size(of file: String) -> Int {
        let facts = try? FileManager.default.attributesOfItem(atPath: file)
        return (facts?[.size] as? NSNumber)?.intValue ?? 0
    }

    private func logTail(from start: Int = 0) -> String {
        guard let log = FileManager.default.contents(atPath: logFile) else { return "(no log)" }
        return String(decoding: log.dropFirst(start).suffix(8_192), as: UTF8.self).lastLines(6)
            + "\n(log: \(logFile))"
    }
}
