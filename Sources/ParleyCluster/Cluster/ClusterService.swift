import Foundation

/// A server process of a cluster: HAProxy or a node.
struct ClusterService: Sendable {
    let name: String
    let port: UInt16
    let folder: ClusterFolder
    /// Arguments that tell it from the cluster's other processes, in this order and next to each other.
    let mark: [String]

    static let logBytesMax = 16 << 20

    var logFile: String { "\(folder.logs)/\(name).log" }
    private var pidFile: PidFile { PidFile(path: "\(folder.pids)/\(name).pid") }

    /// Its process, if it runs: the one of the pid file or else, when the starter was killed before it could write that, one
    /// that works in the cluster's folder with this service's arguments.
    var process: ProcessIdentity? {
        if let process = pidFile.process { return process }
        for pid in ProcessTable.pids where ProcessTable.link("/proc/\(pid)/cwd") == folder.path {
            if ProcessTable.arguments(of: pid).contains(mark), let process = ProcessIdentity(pid: pid) {
                // Spares the next search, no more: without it the process is found this way again.
                try? pidFile.write(process)
                return process
            }
        }
        pidFile.remove()
        return nil
    }

    /// Starts it in a session of its own.
    func start(_ command: Command) throws -> Start {
        // A log that cannot be renamed grows on: no reason not to start.
        if logSize > Self.logBytesMax { try? Folder.rename(logFile, to: logFile + ".old") }
        let offset = logSize
        let log = try ProcessFile(appendingTo: logFile)
        let child = try Child(command, lifetime: .daemon, output: log.number, errors: log.number)
        if let process = ProcessIdentity(pid: child.pid) { try pidFile.write(process) }
        return Start(child: child, logOffset: offset)
    }

    struct Start: Sendable {
        var child: Child
        /// Where its own words begin in the log.
        var logOffset: Int
    }

    /// Asks it to end and, when it has not after `bound`, kills it. Says how it ended; nil when it did not run.
    func stop(_ signal: Int32 = SIGTERM, within bound: Duration) async throws -> Ending? {
        guard let process else { return nil }
        try process.signal(signal)
        var ending = Ending.itself
        if try await !process.hasEnded(within: bound) {
            ending = .killed
            try process.signal(SIGKILL)
            guard try await process.hasEnded(within: Self.killBound) else {
                throw LocalServiceError(.failed, "\(name) (process \(process.pid)) does not end even after SIGKILL")
            }
        }
        pidFile.remove()
        return ending
    }

    enum Ending: Sendable {
        case itself
        case killed
    }

    static let killBound = Duration.seconds(10)

    /// The last that it said since the log was that long.
    func logTail(from offset: Int) -> String {
        let log = FileManager.default.contents(atPath: logFile) ?? Data()
        return String(decoding: log.dropFirst(offset).suffix(4_096), as: UTF8.self).lastLines(6) + "\n(log: \(logFile))"
    }

    private var logSize: Int {
        let facts = try? FileManager.default.attributesOfItem(atPath: logFile)
        return (facts?[.size] as? NSNumber)?.intValue ?? 0
    }
}
