import ParleyCluster
import TestPostgres
import Testing

/// What SQL does is seen by sockets.
@Suite("SQL beside sockets", .heavy)
struct SQLTests {
    /// Two nodes over a server of its own with one database.
    private static func withNodes(
        _ more: [String] = [], _ body: ([TestNode], @Sendable (String) async throws -> String) async throws -> Void
    ) async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("sql")
        let nodes = try await Design.nodes(of: try server.url(database: "sql"), more, count: 2)
        try await body(nodes) { try await server.query($0, database: "sql") }
        for node in nodes { await node.kill() }
        _ = try await server.stop(.immediate)
    }

    @Test("what SQL publishes and sets reaches members on every node, once, in one order with what sockets send")
    func publish() async throws {
        try await Self.withNodes { nodes, query in
            let ann = try await TestClient.connect(to: nodes[0])
            let bob = try await TestClient.connect(to: nodes[1])
            let room = try await ann.create("mixed")
            for client in [ann, bob] { try await client.join(room) }
            for id in 1...20 { await ann.say("socket", in: room, id: id) }
            for number in 1...5 { _ = try await query("SELECT parley.publish('\(room)', '\"sql \(number)\"')") }
            _ = try await query("BEGIN; SELECT parley.publish('\(room)', '\"never\"'); ROLLBACK")
            _ = try await query("SELECT parley.set_values('\(room)', '{\"score\":3}', client => 'referee')")
            let seen = try await ann.changes(of: room, upTo: 26)
            #expect(seen.count == 26)
            let messages = seen.values.compactMap { $0["message"]?.string }.filter { $0 != "socket" }
            #expect(messages.sorted() == (1...5).map { "sql \($0)" })
            #expect(seen.values.contains { $0["clientId"]?.string == "referee" && $0["set"]?["score"]?.int == 3 })
            #expect(try await bob.changes(of: room, upTo: 26) == seen)
        }
    }

    @Test("who is removed, and who is in a room that is closed, is told so and can do nothing there any more")
    func administration() async throws {
        try await Self.withNodes { nodes, query in
            let ann = try await TestClient.connect(to: nodes[0])
            let bob = try await TestClient.connect(to: nodes[1])
            let room = try await ann.create("guarded")
            for client in [ann, bob] { try await client.join(room) }
            let name = await bob.clientID
            await bob.say("here", in: room, id: 7)
            _ = try await bob.changes(of: room, upTo: 1)

            _ = try await query("SELECT parley.remove_member('\(room)', '\(name)')")
            let removed = try await bob.expect { $0["method"]?.string == "leave" }
            #expect(removed["reason"]?.string == "removed" && removed["lastId"]?.int == 7 && removed["id"] == nil)
            let told = try await ann.expect { $0["method"]?.string == "leave" }
            #expect(told["left"]?.array?.compactMap(\.string) == [name] && told["count"]?.int == 1)
            await bob.say("still here", in: room, id: 8)
            let refused = try await bob.expect { $0["method"]?.string == "error" }
            #expect(refused["code"]?.string == "not_joined")
            let again = try await bob.join(room)
            #expect(again["lastId"]?.int == 7 && again["count"]?.int == 2)

            _ = try await query("SELECT parley.close_room('\(room)')")
            for client in [ann, bob] {
                let closed = try await client.expect { $0["reason"]?.string == "closed" }
                #expect(closed["method"]?.string == "leave")
                await client.send(#"{"method":"join","id":9,"roomId":"\#(room)"}"#)
                let gone = try await client.expect { $0["method"]?.string == "error" }
                #expect(gone["code"]?.string == "room_not_found")
            }
        }
    }

    @Test("should nobody say so, who was removed hears of it with what it sends next, which is not applied")
    func removedUnheard() async throws {
        try await Self.withNodes(["--feed", "poll", "--poll-ms", "100"]) { nodes, query in
            let ann = try await TestClient.connect(to: nodes[0])
            let bob = try await TestClient.connect(to: nodes[0])
            let (room, other) = (try await ann.create("guarded"), try await ann.create("other"))
            for client in [ann, bob] { try await client.join(room) }
            try await bob.join(other)
            _ = try await query("SELECT parley.remove_member('\(room)', '\(await bob.clientID)')")
            await ann.say("goodbye", in: room, id: 1)
            await bob.say("still here", in: room, id: 1)
            let told = try await bob.expect { $0["reason"]?.string == "removed" }
            #expect(told["roomId"]?.string == room)
            _ = try await ann.changes(of: room, upTo: 1)
            // His other room, and his socket, are none of that.
            await bob.say("here", in: other, id: 1)
            _ = try await bob.changes(of: other, upTo: 1)
            #expect(
                try await query("SELECT string_agg(message #>> '{}', ',') FROM parley.messages('guarded', 0, 9)")
                    == "goodbye")

            _ = try await query("SELECT parley.close_room('\(other)')")
            _ = try await bob.expect { $0["reason"]?.string == "closed" }
        }
    }
}
