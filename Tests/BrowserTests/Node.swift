import Foundation
import FoundationNetworking
import ParleyCluster
import TestPostgres

/// One `parley serve` process, in a folder that ends it when this test process is gone.
actor Node {
    struct Failure: Error, CustomStringConvertible { let description: String }

    nonisolated let name: String
    nonisolated let port: UInt16
    private let arguments: [String]
    private let folder: String
    private var process: Process?

    private init(name: String, port: UInt16, arguments: [String], folder: String) {
        self.name = name
        self.port = port
        self.arguments = arguments
        self.folder = folder
    }

    /// Starts a node and waits until it is ready.
    static func start(_ name: String, _ arguments: [String]) async throws -> Node {
        let port = try TCPPort.free()
        let node = Node(
            name: name, port: port,
            arguments: ["serve", "--host", "127.0.0.1", "--port", "\(port)", "--node-name", name, "--allow-anonymous"]
                + arguments, folder: try TestPostgres.makeFolder("node"))
        try await node.start()
        return node
    }

    /// Two nodes over one new database.
    static func startPair() async throws -> (Node, Node) {
        let url = try await TestPostgres.shared.makeDatabase()
        return (try await start("n1", ["--database-url", url]), try await start("n2", ["--database-url", url]))
    }

    static func startAlone() async throws -> Node { try await start("n1", ["--store", "memory"]) }

    /// Also after `kill`: on the same port, under the same name.
    func start() async throws {
        let log = folder + "/node.log"
        if !FileManager.default.fileExists(atPath: log) {
            _ = FileManager.default.createFile(atPath: log, contents: nil)
        }
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        try output.seekToEnd()
        let process = Process()
        process.executableURL = Self.executable
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        process.standardOutput = output
        process.standardError = output
        try process.run()
        self.process = process
        do {
            try await until("\(name) is ready") {
                guard process.isRunning else { throw Failure(description: "\(name) has ended") }
                return await isReady()
            }
        } catch {
            let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            throw Failure(description: "\(error): \(text.suffix(2_000))")
        }
    }

    /// It keeps its sockets, and does nothing any more.
    func freeze() {
        if let process, process.isRunning { Foundation.kill(process.processIdentifier, SIGSTOP) }
    }

    func kill() async {
        guard let process, process.isRunning else { return }
        Foundation.kill(process.processIdentifier, SIGKILL)
        while process.isRunning { try? await Task.sleep(for: .milliseconds(5)) }
    }

    /// The page of this node, in a room.
    nonisolated func page(room: String) -> String { "http://127.0.0.1:\(port)/#room=\(room)" }

    nonisolated func answer(
        _ path: String, method: String = "GET", headers: [String: String] = [:]
    ) async throws -> (response: HTTPURLResponse, body: String) {
        guard let url = URL(string: "http://127.0.0.1:\(port)\(path)") else {
            throw Failure(description: "bad \(path)")
        }
        var request = URLRequest(url: url, cachePolicy: .reloadIgnoringLocalCacheData)
        request.httpMethod = method
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        let (data, response) = try await URLSession.shared.data(for: request)
        guard let response = response as? HTTPURLResponse else { throw Failure(description: "no HTTP answer") }
        return (response, String(decoding: data, as: UTF8.self))
    }

    private nonisolated func isReady() async -> Bool {
        (try? await answer("/health/ready").response.statusCode) == 200
    }

    /// The executable that was built together with these tests.
    static let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("parley")
}

struct WaitedInVain: Error, CustomStringConvertible { let description: String }

/// The longest that any test waits for anything.
let patience = Duration.seconds(30)

func until(
    _ what: String, isolation: isolated (any Actor)? = #isolation, _ holds: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + patience
    while try await !holds() {
        guard ContinuousClock.now < deadline else { throw WaitedInVain(description: "waited in vain: \(what)") }
        try await Task.sleep(for: .milliseconds(20))
    }
}
