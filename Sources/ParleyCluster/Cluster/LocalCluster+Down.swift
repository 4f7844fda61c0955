import Foundation

extension LocalCluster {
    /// Ends everything, in the order in which nobody talks to what is gone. The data stays for the next `up`.
    ///
    /// - Parameter delete: removes the data and the logs too.
    /// - Throws: `unavailable` when there is no such folder.
    public func down(delete: Bool) async throws {
        guard Folder.exists(folder.path) else {
            throw LocalServiceError(.unavailable, "no cluster in \(folder.path)")
        }
        let lock = try await lock()
        defer { withExtendedLifetime(lock) {} }
        // Without settings there may still be remains: the widest there could be are looked for.
        var settings = try folder.readSettings()
        if settings == nil {
            settings = ClusterSettings()
            settings?.nodes = ClusterSettings.nodesMax
        }
        try await end(settings ?? ClusterSettings(), reportingIdle: true)
        try folder.forgetSettings()
        if delete {
            try folder.remove()
            say("\(folder.path) removed")
        } else if Folder.exists(folder.postgres) {
            say("the data stays in \(folder.postgres); \(command("down --delete")) removes it")
        }
    }

    func end(_ settings: ClusterSettings, reportingIdle: Bool) async throws {
        var hasEnded = false
        if let ending = try await proxy(settings).stop(within: Self.drainBound) {
            hasEnded = true
            report("HAProxy", ending)
        }
        try await withThrowingTaskGroup(of: (String, ClusterService.Ending?).self) { group in
            for node in nodes(settings) {
                group.addTask { (node.name, try await node.stop(within: Self.drainBound)) }
            }
            for try await (name, ending) in group {
                guard let ending else { continue }
                hasEnded = true
                report(name, ending)
            }
        }
        if let postgres = postgres(settings), try await postgres.stop(.fast) {
            hasEnded = true
            say("PostgreSQL ended")
        }
        if !hasEnded, reportingIdle { say("nothing ran") }
    }

    private func report(_ name: String, _ ending: ClusterService.Ending) {
        switch ending {
        case .itself: say("\(name) ended")
        case .killed: say("\(name) did not end within \(Self.drainBound) and was killed")
        }
    }

    /// Kills nodes as a crash would: nobody is told.
    ///
    /// - Throws: `usage` for a node that there is not; `failed` when one does not run.
    public func kill(_ names: [String]) async throws {
        let settings = try storedSettings()
        let lock = try await lock()
        defer { withExtendedLifetime(lock) {} }
        for number in try names.map(settings.node(named:)) {
            let node = node(number, settings)
            guard try await node.stop(SIGKILL, within: ClusterService.killBound) != nil else {
                throw LocalServiceError(
                    .failed, "\(node.name) does not run: \(command("restart \(node.name)")) starts it")
            }
            say("\(node.name) killed")
        }
    }

    /// Restarts nodes, one after the other, each ready before the next one ends. A node that does not run is started.
    public func restart(_ names: [String]) async throws {
        let settings = try storedSettings()
        let lock = try await lock()
        defer { withExtendedLifetime(lock) {} }
        if let postgres = postgres(settings), postgres.running == nil {
            throw LocalServiceError(.failed, "PostgreSQL does not run: \(command("up")) starts what is missing")
        }
        let hasProxy = proxy(settings).process != nil
        for (place, number) in try names.map(settings.node(named:)).enumerated() {
            // The proxy learns by its next check that the node before is back; until then it may have no other.
            if place > 0, hasProxy { try await Task.sleep(for: .milliseconds(2 * HAProxyConfiguration.checkMs)) }
            let node = node(number, settings)
            if let ending = try await node.stop(within: Self.drainBound) { report(node.name, ending) }
            try await startNodes([number], settings)
        }
    }
}
