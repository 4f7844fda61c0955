import Foundation
import FoundationNetworking
import ParleyCluster
import TestPostgres

/// One `parley serve` process, in a folder that ends it when this test process is gone.
final class TestNode: Sendable {
    struct Failure: Error, CustomStringConvertible { let description: String }

    let name: String
    let port: UInt16
    private let arguments: [String]
    private let folder: String
    private let process: ProcessBox

    /// A process can't be started twice, so each start makes a new one.
    private actor ProcessBox {
        var current: Process?
        func become(_ process: Process) { current = process }
    }

    private init(name: String, port: UInt16, arguments: [String], folder: String) {
        self.name = name
        self.port = port
        self.arguments = arguments
        self.folder = folder
        process = ProcessBox()
    }

    /// Starts a node and waits until it is ready.
    static func start(_ name: String, _ arguments: [String]) async throws -> TestNode {
        let port = try TCPPort.free()
        let node = TestNode(
            name: name, port: port,
            arguments: ["serve", "--host", "127.0.0.1", "--port", "\(port)", "--node-name", name, "--allow-anonymous"]
                + arguments, folder: try TestPostgres.makeFolder("node"))
        try await node.start()
        return node
    }

    func start() async throws {
        let process = Process()
        process.executableURL = Self.executable
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        let log = folder + "/node.log"
        if !FileManager.default.fileExists(atPath: log) {
            _ = FileManager.default.createFile(atPath: log, contents: nil)
        }
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        try output.seekToEnd()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        await self.process.become(process)
        try await waitUntilReady()
    }

    func kill() async { await signal(SIGKILL) }
    func terminate() async { await signal(SIGTERM) }
    func pause() async { await signal(SIGSTOP) }
    func resume() async { await signal(SIGCONT) }

    /// Waits for the end of the process and returns its exit code.
    func ended() async -> Int32 {
        guard let process = await process.current else { return -1 }
        while process.isRunning { try? await Task.sleep(for: .milliseconds(5)) }
        return process.terminationStatus
    }

    func get(_ path: String) async throws -> (status: Int, body: String) {
        guard let url = URL(string: "http://127.0.0.1:\(port)\(path)") else {
            throw Failure(description: "bad \(path)")
        }
        let (data, response) = try await URLSession.shared.data(from: url)
        return ((response as? HTTPURLResponse)?.statusCode ?? 0, String(decoding: data, as: UTF8.self))
    }

    private func waitUntilReady() async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline {
            if try await isReady() { return }
            guard await process.current?.isRunning == true else { break }
            try await Task.sleep(for: .milliseconds(20))
        }
        let log = (try? String(contentsOfFile: folder + "/node.log", encoding: .utf8)) ?? ""
        throw Failure(description: "\(name) is not ready: \(log.suffix(2_000))")
    }

    private func isReady() async throws -> Bool {
        do {
            return try await get("/health/ready").status == 200
        } catch is URLError {
            return false
        }
    }

    private func signal(_ number: Int32) async {
        guard let process = await process.current, process.isRunning else { return }
        Foundation.kill(process.processIdentifier, number)
        if number == SIGKILL { _ = await ended() }
    }

    /// The executable that was built together with these tests.
    static let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("parley")
}
