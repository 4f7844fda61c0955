import Foundation

extension LocalPostgres {
    public enum StopMode: Sendable {
        /// Ends the connections, then writes everything: the next start has nothing to recover.
        case fast
        /// As a crash does: the next start recovers.
        case immediate
        /// SIGKILL to the server and everything that works in its folder.
        case kill
    }

    /// How long each of the harder ways waits before the next.
    static let stopBound = Duration.seconds(20)

    /// Ends the server and returns when all of its processes are gone. A server that does not end in time is ended harder.
    /// Says false when it did not run.
    @discardableResult
    public func stop(_ mode: StopMode = .fast) async throws -> Bool {
        guard let file = PostmasterFile(dataFolder: dataFolder), let process = postmaster(file) else { return false }
        let modes: [StopMode] =
            switch mode {
            case .fast: [.fast, .immediate, .kill]
            case .immediate: [.immediate, .kill]
            case .kill: [.kill]
            }
        for mode in modes {
            switch mode {
            case .fast: try process.signal(SIGINT)
            case .immediate: try process.signal(SIGQUIT)
            case .kill:
                try process.signal(SIGKILL)
                for pid in ProcessTable.workers(in: dataFolder, named: Self.processName) {
                    try ProcessIdentity(pid: pid)?.signal(SIGKILL)
                }
            }
            if try await process.hasEnded(within: Self.stopBound) { break }
        }
        let end = ContinuousClock.now + Self.orphanBound
        while !ProcessTable.workers(in: dataFolder, named: Self.processName).isEmpty {
            guard ContinuousClock.now < end else {
                throw LocalServiceError(.failed, "PostgreSQL in \(dataFolder) has ended, but not all of its processes")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        return true
    }
}
