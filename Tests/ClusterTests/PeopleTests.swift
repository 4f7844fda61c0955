import Foundation
import ParleyCluster
import TestPostgres
import Testing

/// The commands for people at a terminal, on a node and a database of their own.
@Suite("Commands for people", .heavy)
struct PeopleTests {
    private func parley(_ arguments: String...) async throws -> Command.Finished {
        try await Command(TestNode.executable.path, arguments).run(within: .seconds(60))
    }

    @Test("send says where the message stands; rooms and nodes list what is there")
    func sendAndList() async throws {
        let database = try await TestPostgres.shared.makeDatabase()
        let nodes = try await Design.nodes(of: database, count: 1)
        let url = "ws://127.0.0.1:\(nodes[0].port)/ws"
        let first = try await parley("send", "tea", "hello \"there\"", "--create", "--url", url)
        #expect(first.exitCode == 0 && first.output == "1\n", "\(first)")
        let second = try await parley("send", "tea", "again", "--url", url)
        #expect(second.exitCode == 0 && second.output == "2\n", "\(second)")
        let nowhere = try await parley("send", "no-such-room", "hello", "--url", url)
        #expect(nowhere.exitCode != 0 && nowhere.errors.contains("no room of this id"), "\(nowhere)")

        let tail = try await Command(
            "/bin/sh",
            [
                "-c",
                """
                : > "$3/shown"; "$1" tail tea --url "$2" > "$3/shown" & tail=$!
                while [ "$(wc -l < "$3/shown")" -lt 2 ]; do sleep 0.02; done
                kill -TERM $tail; wait $tail || exit; cut -d ' ' -f 1,5- "$3/shown"
                """, "sh", TestNode.executable.path, url, try TestPostgres.makeFolder("tail"),
            ]
        ).run(within: .seconds(30))
        #expect(tail.exitCode == 0 && tail.output == "1 hello \"there\"\n2 again\n", "\(tail)")

        let rooms = try await parley("rooms", "--database-url", database)
        #expect(rooms.exitCode == 0, "\(rooms.errors)")
        let lines = rooms.output.split(separator: "\n").map { $0.split(separator: " ") }
        #expect(lines.first?.prefix(3) == ["room", "changes", "members"])
        #expect(lines.last?.prefix(2) == ["tea", "2"])
        let list = try await parley("nodes", "--database-url", database)
        #expect(list.exitCode == 0, "\(list.errors)")
        #expect(list.output.contains("alive"))
        for node in nodes { await node.kill() }
    }

    @Test("tail goes on at another node when its own is killed, and shows each message once")
    func tailGoesOn() async throws {
        let nodes = try await Design.nodes(of: try await TestPostgres.shared.makeDatabase(), count: 2)
        let urls = nodes.map { "ws://127.0.0.1:\($0.port)/ws" }
        for number in 1...2 { _ = try await parley("send", "tea", "\(number)", "--create", "--url", urls[1]) }
        let shown = try TestPostgres.makeFolder("tail") + "/shown"
        let tail = Task {
            try await Command(
                "/bin/sh",
                [
                    "-c",
                    """
                    : > "$4"; "$1" tail tea --url "$2" --url "$3" > "$4" & tail=$!
                    while [ "$(wc -l < "$4")" -lt 3 ]; do sleep 0.02; done
                    kill -TERM $tail; wait $tail || exit; cut -d ' ' -f 1,5- "$4"
                    """, "sh", TestNode.executable.path, urls[0], urls[1], shown,
                ]
            ).run(within: .seconds(30))
        }
        while try await lines(of: shown) < 2 { try await Task.sleep(for: .milliseconds(10)) }
        await nodes[0].kill()
        let third = try await parley("send", "tea", "3", "--url", urls[1])
        #expect(third.output == "3\n", "\(third)")
        let finished = try await tail.value
        #expect(finished.exitCode == 0 && finished.output == "1 1\n2 2\n3 3\n", "\(finished)")
        for node in nodes { await node.kill() }
    }

    private func lines(of file: String) async throws -> Int {
        guard FileManager.default.fileExists(atPath: file) else { return 0 }
        return try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").count
    }

    @Test(
        "a node that is not there is named, with what to do", arguments: [["send", "tea", "hello"], ["tail", "tea"]])
    func nobodyThere(command: [String]) async throws {
        let url = "ws://127.0.0.1:\(try TCPPort.free())/ws"
        let finished = try await Command(TestNode.executable.path, command + ["--url", url]).run(within: .seconds(60))
        #expect(finished.exitCode == 69)
        #expect(finished.errors.contains(url) && finished.errors.contains("--url"), "\(finished.errors)")
        #expect(finished.errors.contains("connection refused;"), "\(finished.errors)")
    }

    @Test("a database without the schema, or that one may not read, is told with what to do")
    func noSchema() async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("app")
        let url = try server.url(database: "app")
        for command in ["rooms", "nodes"] {
            let finished = try await parley(command, "--database-url", url)
            #expect(finished.exitCode == 69 && finished.errors.contains("run `parley migrate`"), "\(finished)")
        }
        _ = try await parley("migrate", "--database-url", url)
        _ = try await server.query("CREATE ROLE poor LOGIN")
        let finished = try await parley("rooms", "--database-url", url.replacing("parley@", with: "poor@"))
        #expect(finished.exitCode == 69 && finished.errors.contains("GRANT USAGE ON SCHEMA parley"), "\(finished)")
        _ = try await server.stop(.immediate)
    }
}
