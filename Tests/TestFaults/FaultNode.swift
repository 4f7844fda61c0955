import Foundation
import NIOConcurrencyHelpers
import ParleyCluster

/// One `parley serve` process that is killed, paused and started again. Its log goes on over all of its lives.
public final class FaultNode: Sendable {
    struct Failure: Error, CustomStringConvertible { let description: String }

    static let readyBound = Duration.seconds(60)
    static let endBound = Duration.seconds(20)

    let name: String
    let port: UInt16
    private let executable: String
    private let arguments: [String]
    private let folder: String
    private let process = NIOLockedValueBox<Process?>(nil)

    init(name: String, executable: String, databaseURL: String, feed: String, folder: String) throws {
        self.name = name
        self.executable = executable
        self.folder = folder
        port = try TCPPort.free()
        arguments = [
            "serve", "--host", "127.0.0.1", "--port", "\(port)", "--node-name", name, "--allow-anonymous",
            "--database-url", databaseURL, "--feed", feed, "--grace-ms",
            "\(Int(FaultCluster.grace / .milliseconds(1)))",
        ]
    }

    var logFile: String { "\(folder)/\(name).log" }

    func start() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        if !FileManager.default.fileExists(atPath: logFile) {
            _ = FileManager.default.createFile(atPath: logFile, contents: nil)
        }
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: logFile))
        try output.seekToEnd()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        self.process.withLockedValue { $0 = process }
    }

    var isRunning: Bool { process.withLockedValue { $0?.isRunning ?? false } }

    func signal(_ number: Int32) {
        process.withLockedValue { process in
            if let process, process.isRunning { Foundation.kill(process.processIdentifier, number) }
        }
    }

    /// Ended in whatever way, when this returns.
    func kill() async throws {
        signal(SIGKILL)
        while isRunning { try await Task.sleep(for: .milliseconds(2)) }
    }

    /// Asked to end; killed when it takes too long, which this says by false.
    func terminate() async throws -> Bool {
        signal(SIGTERM)
        let end = ContinuousClock.now + Self.endBound
        while isRunning {
            guard ContinuousClock.now < end else {
                try await kill()
                return false
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        return true
    }

    /// Starts it again whenever it ends meanwhile, as a service manager does: it may have found no database.
    func becomeReady() async throws {
        let end = ContinuousClock.now + Self.readyBound
        while ContinuousClock.now < end {
            if !isRunning { try start() }
            if await isReady() { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Failure(description: "\(name) is not ready; see \(logFile)")
    }

    private func isReady() async -> Bool { await HTTPProbe.status(port: port, path: "/health/ready") == 200 }
}
