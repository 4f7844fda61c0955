import Foundation

extension LocalCluster {
    /// Starts what is missing, and returns when every node is ready and reached through the proxy.
    ///
    /// If it fails and nothing ran before, what it started is ended again.
    /// - Throws: `unavailable` when a program or port is not to be had, `usage` when the request does not fit, `failed` when
    ///   something does not come up in time.
    public func up(_ request: ClusterRequest) async throws {
        try folder.make()
        let lock = try await lock()
        defer { withExtendedLifetime(lock) {} }
        let stored = try folder.readSettings()
        let isRunning = stored.map(isAnythingRunning) ?? false
        let settings = try request.settings(stored: stored, isRunning: isRunning, down: command("down"))
        try checkNeeds(settings)
        try folder.write(settings)
        do {
            try await startMissing(settings, hasGrown: isRunning && stored != settings)
        } catch {
            if !isRunning {
                if isAnythingRunning(settings) { say("that failed: what was started is ended again") }
                try await end(settings, reportingIdle: false)
                if let stored { try folder.write(stored) } else { try folder.forgetSettings() }
            }
            throw error
        }
    }

    private func startMissing(_ settings: ClusterSettings, hasGrown: Bool) async throws {
        if let postgres = postgres(settings) { try await start(postgres) }
        if let url = try databaseURL(settings) {
            // In somebody else's database its owner decides.
            try await migrate(url, withGame: settings.databaseURL == nil)
        }
        try await startNodes(Array(1...settings.nodes), settings)
        if settings.proxy { try await startProxy(settings, hasGrown: hasGrown) }
    }

    private func start(_ postgres: LocalPostgres) async throws {
        let outcome = try await postgres.start()
        switch outcome {
        case .started: say("PostgreSQL started")
        case .ranAlready: say("PostgreSQL runs already")
        }
        if try await postgres.createDatabase(Self.database) { say("database '\(Self.database)' made") }
    }

    private func migrate(_ url: String, withGame: Bool) async throws {
        let command = serverCommand(["migrate"] + (withGame ? ["--game"] : []), databaseURL: url)
        let finished = try await command.run(within: Self.migrateBound)
        guard finished.exitCode == 0 else {
            // By the codes of sysexits.h, which `migrate` keeps to.
            let kind: LocalServiceError.Kind =
                switch finished.exitCode {
                case 64: .usage
                case 69: .unavailable
                default: .failed
                }
            let words = finished.errors.isEmpty ? finished.output : finished.errors
            throw LocalServiceError(kind, "can't bring the database's schema up to date: \(words.lastLines(6))")
        }
        say("schema is up to date")
    }

    /// Starts those that do not run, all at once, and waits for all.
    func startNodes(_ wanted: [Int], _ settings: ClusterSettings) async throws {
        let url = try databaseURL(settings)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in wanted {
                let node = node(number, settings)
                if let process = node.process {
                    say("\(node.name) runs already (process \(process.pid))")
                    group.addTask { try await waitUntilReady(node, start: nil) }
                    continue
                }
                let start = try node.start(
                    serverCommand(settings.serveArguments(node: number), databaseURL: url))
                group.addTask {
                    try await waitUntilReady(node, start: start)
                    say("\(node.name) is ready on port \(node.port) (process \(start.child.pid))")
                }
            }
            try await group.waitForAll()
        }
    }

    private func startProxy(_ settings: ClusterSettings, hasGrown: Bool) async throws {
        let haproxy = try Self.haproxy()
        let proxy = proxy(settings)
        let text = HAProxyConfiguration(settings, openFilesMax: ProcessTable.openFilesMax).text
        let hasChanged = (try? String(contentsOfFile: folder.proxyFile, encoding: .utf8)) != text
        if let process = proxy.process {
            if !hasGrown, !hasChanged {
                say("HAProxy runs already (process \(process.pid))")
                return try await waitUntilReady(proxy, start: nil)
            }
            say("HAProxy restarts with a new configuration: sockets reconnect")
            _ = try await proxy.stop(within: Self.drainBound)
        }
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder.proxyFile), options: .atomic)
        try await Command(haproxy, ["-c", "-f", folder.proxyFile])
            .succeed(within: .seconds(10), to: "use HAProxy's configuration")
        let start = try proxy.start(
            Command(haproxy, ["-db", "-f", folder.proxyFile], folder: folder.path))
        try await waitUntilReady(proxy, start: start)
        say("HAProxy is ready on port \(proxy.port) (process \(start.child.pid))")
    }

    /// By a real request, so that it is known to work and not only to listen.
    private func waitUntilReady(_ service: ClusterService, start: ClusterService.Start?) async throws {
        let end = ContinuousClock.now + Self.readyBound
        while await HTTPProbe.status(port: service.port, path: Self.readyPath) != 200 {
            if let start, let code = start.child.exitCode() {
                throw LocalServiceError(
                    .failed,
                    "\(service.name) ended at once (exit code \(code)): \(service.logTail(from: start.logOffset))")
            }
            guard ContinuousClock.now < end else {
                throw LocalServiceError(
                    .failed,
                    "\(service.name) runs but was not ready within \(Self.readyBound): \(service.logTail(from: start?.logOffset ?? 0))\n"
                        + "Try \(command("restart \(service.name)")), or \(command("down")) and 'up'.")
            }
            try await Task.sleep(for: .milliseconds(30))
        }
    }

    static let readyPath = "/health/ready"

    /// Everything that may be missing is looked for before anything is started.
    private func checkNeeds(_ settings: ClusterSettings) throws {
        guard FileManager.default.isExecutableFile(atPath: server) else {
            throw LocalServiceError(.unavailable, "\(server) is not an executable file")
        }
        if settings.proxy { _ = try Self.haproxy() }
        var services = nodes(settings)
        if settings.proxy { services.append(proxy(settings)) }
        for service in services where service.process == nil && !TCPPort.isFree(service.port) {
            let holder = TCPPort.listener(on: service.port).map { " by \($0.name) (process \($0.pid))" } ?? ""
            let other = Int(settings.port) + (settings.port < 50_000 ? 1_000 : -1_000)
            throw LocalServiceError(
                .unavailable,
                """
                port \(service.port), wanted for \(service.name), is in use\(holder): choose others with --port, as in \
                --port \(other) for \(other) to \(other + settings.nodes)
                """)
        }
    }

    private static func haproxy() throws(LocalServiceError) -> String {
        guard let path = Command.find("haproxy") else {
            throw LocalServiceError(
                .unavailable, "HAProxy is not installed: apt-get install haproxy, or go without it: --no-proxy")
        }
        return path
    }
}
