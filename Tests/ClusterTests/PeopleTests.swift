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

    @Test("a node that is not there is named, with what to do")
    func nobodyThere() async throws {
        let url = "ws://127.0.0.1:\(try TCPPort.free())/ws"
        let finished = try await parley("send", "tea", "hello", "--url", url)
        #expect(finished.exitCode == 69)
        #expect(finished.errors.contains(url) && finished.errors.contains("--url"), "\(finished.errors)")
    }
}
