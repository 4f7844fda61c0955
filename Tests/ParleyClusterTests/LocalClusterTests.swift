import Foundation
import Synchronization
import TestPostgres
import Testing

@testable import ParleyCluster

/// With a small stand-in for the server: what is tested is who is started, found and ended, not what they do.
@Suite(
    "a cluster on this machine", .heavy, .serialized,
    .enabled(
        if: Command.find("haproxy") != nil && Command.find("python3") != nil, "HAProxy or Python is not installed"))
struct LocalClusterTests {
    @Test("up starts everything once, finds what runs, starts what was killed; down ends it all and keeps the data")
    func life() async throws {
        let said = Said()
        let cluster = try Self.cluster(said)
        var request = ClusterRequest()
        request.nodes = 2
        request.port = try TCPPort.free(inARow: 4)
        try await cluster.up(request)
        let first = try await cluster.status()
        #expect(first.isAllReady)
        #expect(first.parts.map(\.name) == ["haproxy", "n1", "n2", "postgres"])
        #expect(try await cluster.psql([]).arguments == [cluster.postgresURL()])

        try await cluster.up(ClusterRequest())
        #expect(try await cluster.status().parts.map(\.pid) == first.parts.map(\.pid))

        // All at once, as when the machine loses its power, but for n1.
        try await cluster.kill(["2"])
        for part in first.parts where part.name == "haproxy" || part.name == "postgres" {
            let pid = try #require(part.pid)
            let process = try #require(ProcessIdentity(pid: pid))
            try process.signal(SIGKILL)
            #expect(try await process.hasEnded(within: .seconds(10)))
        }
        #expect(try await cluster.status().parts.map(\.state) == [.down, .ready, .down, .down])
        let idle = await #expect(throws: LocalServiceError.self) { try await cluster.kill(["2"]) }
        #expect(idle?.reason.contains("restart n2 --folder \(cluster.path)'") == true, "\(idle?.reason ?? "")")
        try await cluster.up(ClusterRequest())
        let second = try await cluster.status()
        #expect(second.isAllReady)
        #expect(second.parts[1].pid == first.parts[1].pid)
        #expect(second.parts[3].port == first.parts[3].port, "the nodes that live on find PostgreSQL again")

        try await cluster.restart(["n1"])
        let third = try await cluster.status()
        #expect(third.isAllReady)
        #expect(third.parts[1].pid != second.parts[1].pid)
        #expect(third.parts[2].pid == second.parts[2].pid)

        var more = ClusterRequest()
        more.nodes = 3
        try await cluster.up(more)
        #expect(try await cluster.status().parts.filter { $0.state == .ready }.count == 5)

        try await cluster.down(delete: false)
        for pid in third.parts.compactMap(\.pid) { #expect(ProcessIdentity(pid: pid) == nil) }
        #expect(Folder.exists("\(cluster.path)/postgres/data"))
        await #expect(throws: LocalServiceError.self) { try await cluster.status() }
        try await cluster.down(delete: true)
        #expect(!Folder.exists(cluster.path))
    }

    @Test("a node whose pid file is lost is found; one whose pid file names another process leaves that alone")
    func pidFiles() async throws {
        let cluster = try Self.cluster(Said())
        var request = ClusterRequest()
        request.nodes = 1
        request.store = .memory
        request.port = try TCPPort.free(inARow: 2)
        try await cluster.up(request)
        let status = try await cluster.status()
        #expect(status.parts.map(\.name) == ["haproxy", "n1"])
        try Folder.remove("\(cluster.path)/pids/n1.pid")
        #expect(try await cluster.status().parts.map(\.pid) == status.parts.map(\.pid))

        try await cluster.kill(["1"])
        let mine = try #require(ProcessIdentity(pid: ProcessInfo.processInfo.processIdentifier))
        let later = ProcessIdentity(pid: mine.pid, startTicks: mine.startTicks &- 1, boot: mine.boot)
        try PidFile(path: "\(cluster.path)/pids/n1.pid").write(later)
        await #expect(throws: LocalServiceError.self) { try await cluster.kill(["1"]) }
        try await cluster.down(delete: true)
    }

    @Test("when a node does not come up its last words are told and nothing is left running")
    func failure() async throws {
        let said = Said()
        let cluster = try Self.cluster(said)
        var request = ClusterRequest()
        request.nodes = 2
        request.store = .memory
        request.port = try TCPPort.free(inARow: 3)
        request.serveOptions = ["--die", "n2"]
        let error = await #expect(throws: LocalServiceError.self) { try await cluster.up(request) }
        #expect(error?.kind == .failed)
        #expect(
            error?.reason.contains("n2 ended at once (exit code 3): no such luck") == true, "\(error?.reason ?? "")")
        // Not by the ports: somebody else may have them by now.
        let left = ProcessTable.pids.filter { ProcessTable.link("/proc/\($0)/cwd")?.hasPrefix(cluster.path) == true }
        #expect(left.isEmpty)
        await #expect(throws: LocalServiceError.self) { try await cluster.status() }
    }

    @Test("a port in use is told before anything is started")
    func portInUse() async throws {
        let first = try Self.cluster(Said())
        var request = ClusterRequest()
        request.nodes = 1
        request.store = .memory
        request.port = try TCPPort.free(inARow: 2)
        try await first.up(request)
        let said = Said()
        let second = try Self.cluster(said)
        let error = await #expect(throws: LocalServiceError.self) { try await second.up(request) }
        #expect(error?.kind == .unavailable)
        #expect(error?.reason.contains("in use by") == true)
        #expect(said.lines.isEmpty)
        try await first.down(delete: true)
    }

    private static func cluster(_ said: Said) throws -> LocalCluster {
        let folder = try TestPostgres.makeFolder("cluster")
        let server = "\(folder)/server"
        try Data(standIn.utf8).write(to: URL(fileURLWithPath: server))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: server)
        return LocalCluster(folder: "\(folder)/.parley", server: server, say: { said.append($0) })
    }

    private static let standIn = """
        #!/usr/bin/env python3
        import http.server, sys
        if sys.argv[1] == "migrate":
            sys.exit(0)
        options = dict(zip(sys.argv[2:], sys.argv[3:]))
        if options.get("--die") == options["--node-name"]:
            sys.exit(sys.stderr.write("no such luck\\n") and 3)
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
            def log_message(self, *_):
                pass
        http.server.ThreadingHTTPServer((options["--host"], int(options["--port"])), Handler).serve_forever()

        """
}

extension LocalCluster {
    fileprivate func postgresURL() throws -> String {
        try LocalPostgres(folder: "\(path)/postgres").url(database: Self.database)
    }
}

/// What a cluster said, from whatever task.
private final class Said: Sendable {
    private let store = Mutex<[String]>([])
    var lines: [String] { store.withLock { $0 } }
    func append(_ line: String) { store.withLock { $0.append(line) } }
}
