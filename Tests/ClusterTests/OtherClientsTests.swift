import Foundation
import ParleyCluster
import TestPostgres
import Testing

/// The conversation of `deploy/conversation`, on a cluster of this test.
@Suite("Clients that others wrote", .heavy)
struct OtherClientsTests {
    @Test(
        "34 of them through HAProxy, a node killed in the middle: each sees the same sequence as psql, and nothing is missing"
    )
    func conversation() async throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let python = root.appending(path: ".build/test-python/bin/python").path
        try #require(
            FileManager.default.isExecutableFile(atPath: python) && Command.find("chromium") != nil,
            "not installed: run 'deploy/install tests' and 'deploy/test-clients'")
        let parley = TestNode.executable.path
        let folder = try TestPostgres.makeFolder("conversation") + "/cluster"
        let port = try TCPPort.free(inARow: 4)
        try await Command(parley, ["cluster", "up", "--folder", folder, "--port", "\(port)"])
            .succeed(within: .seconds(120), to: "start a cluster")
        let script = root.appending(path: "Tests/Conversation/conversation.py").path
        let finished = try await Command(python, [script, parley, "--folder", folder, "--port", "\(port)"])
            .run(within: .seconds(240))
        print(finished.output)
        #expect(finished.exitCode == 0, "\(finished.errors)")
        try await Command(parley, ["cluster", "down", "--folder", folder])
            .succeed(within: .seconds(60), to: "end the cluster")
    }
}
