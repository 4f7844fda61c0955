import Foundation
import ParleyCluster
import TestPostgres
import Testing

/// Rooms whose rule, an SQL function, judges what sockets say.
@Suite("Rules beside sockets", .heavy)
struct RuleTests {
    /// Two nodes over a server of its own, with these examples of docs/examples.
    private static func withNodes(
        _ examples: [String], _ body: ([TestNode], @Sendable (String) async throws -> String) async throws -> Void
    ) async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("rules")
        let nodes = try await Design.nodes(of: try server.url(database: "rules"), count: 2)
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "docs/examples")
        for example in examples {
            let script = try String(contentsOf: folder.appending(path: "\(example).sql"), encoding: .utf8)
            _ = try await server.query(script, database: "rules")
        }
        try await body(nodes) { try await server.query($0, database: "rules") }
        for node in nodes { await node.kill() }
        _ = try await server.stop(.immediate)
    }

    private static func create(_ room: String, rule: String, by client: TestClient) async throws -> JSON {
        await client.send(#"{"method":"create","id":1,"roomId":"\#(room)","rule":"\#(rule)"}"#)
        return try await client.expect { $0["method"]?.string == "create" || $0["method"]?.string == "error" }
    }

    @Test(
        "what a rule refuses reaches its sender as an error, is remembered as refused on every node, and others never see it"
    )
    func refused() async throws {
        try await Self.withNodes(["polite-chat"]) { nodes, query in
            _ = try await query("INSERT INTO chat.unwanted_word VALUES ('damn')")
            var ann = try await TestClient.connect(to: nodes[0])
            let bob = try await TestClient.connect(to: nodes[1])
            #expect(try await Self.create("chat", rule: "none", by: ann)["code"]?.string == "bad_request")
            #expect(try await Self.create("chat", rule: "polite", by: ann)["created"]?.bool == true)
            for client in [ann, bob] { try await client.join("chat") }
            func say(_ text: String, id: Int) async {
                await ann.send(#"{"method":"message","id":\#(id),"roomId":"chat","message":{"text":"\#(text)"}}"#)
            }
            await say("hello", id: 1)
            await say("damn", id: 2)
            await say("sorry", id: 3)
            let error = try await ann.expect { $0["method"]?.string == "error" }
            #expect(error["id"]?.int == 2 && error["code"]?.string == "forbidden" && error["roomId"]?.string == "chat")
            #expect(error["reason"]?.string == "that is not said here" && error["temporary"]?.bool == false)
            for client in [ann, bob] {
                let seen = try await client.changes(of: "chat", upTo: 2)
                #expect(seen[1]?["message"]?["text"]?.string == "hello" && seen[2]?["id"]?.int == 3)
            }
            // The same ids again on the other node, by a session that takes itself up there.
            let session = await ann.session
            await ann.drop()
            ann = try await TestClient.connect(to: nodes[1], session: session)
            let joined = try await ann.join("chat")
            #expect(joined["lastId"]?.int == 3 && joined["refused"]?.array?.compactMap(\.int) == [2])
            await say("damn", id: 2)
            #expect(try await ann.expect { $0["method"]?.string == "error" }["code"]?.string == "refused_before")
            await say("sorry", id: 3)
            #expect(try await ann.expect { $0["method"]?.string == "ack" }["duplicate"]?.bool == true)
            #expect(try await query("SELECT last_seq FROM parley.rooms") == "2")
            // The server's own voice is not judged.
            _ = try await query("SELECT parley.publish('chat', '{\"text\":\"damn\"}')")
            _ = try await bob.changes(of: "chat", upTo: 3)
        }
    }

    @Test(
        "of many who ask on two nodes for the same cells each cell goes to one, everybody sees the same, and so does who joins"
    )
    func board() async throws {
        try await Self.withNodes(["board-game"]) { nodes, query in
            var players: [TestClient] = []
            for number in 0..<6 { players.append(try await TestClient.connect(to: nodes[number % 2])) }
            #expect(try await Self.create("game", rule: "board", by: players[0])["created"]?.bool == true)
            for player in players { try await player.join("game", #","recent":1000"#) }
            let cells = 32
            for cell in 0..<cells {
                for player in players {
                    await player.send(
                        """
                        {"method":"message","id":\(cell + 1),"roomId":"game","message":
                        {"take":{"x":\(cell % 4 * 3),"y":\(cell / 4 * 2),"color":"red"}}}
                        """)
                }
            }
            var seen: [[Int: JSON]] = []
            for player in players { seen.append(try await player.changes(of: "game", upTo: cells)) }
            #expect(seen.allSatisfy { $0 == seen[0] } && seen[0].count == cells)
            var owners: [String: String] = [:]
            for (_, change) in seen[0].sorted(by: { $0.key < $1.key }) {
                let cell = try #require(change["message"]?["took"]?.string)
                #expect(owners[cell] == nil, "\(cell) was given twice")
                owners[cell] = change["clientId"]?.string
                #expect(change["set"]?[cell]?["owner"]?.string == change["clientId"]?.string)
            }
            #expect(owners.count == cells)
            let late = try await TestClient.connect(to: nodes[1])
            let joined = try await late.join("game")
            for (cell, owner) in owners { #expect(joined["state"]?["values"]?[cell]?["owner"]?.string == owner) }
            #expect(
                try await query("SELECT count(*) FROM parley.room_values WHERE value ->> 'color' = 'red'") == "\(cells)"
            )
            await players[0].send(#"{"method":"set","id":1000,"roomId":"game","set":{"0,0":{"owner":"me"}}}"#)
            #expect(try await players[0].expect { $0["id"]?.int == 1000 }["code"]?.string == "forbidden")
        }
    }

    @Test("a rule that hangs refuses its own room's messages; other rooms of the node, with a rule and without, go on")
    func hanging() async throws {
        try await Self.withNodes(["polite-chat"]) { nodes, query in
            _ = try await query(
                """
                CREATE FUNCTION public.hang(room text, shared jsonb, input parley.rule_input) RETURNS parley.ruling
                LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
                'BEGIN PERFORM pg_sleep(600); RETURN NULL; END';
                SELECT parley.create_rule('hang', 'public.hang'), parley.create_room('stuck', rule => 'hang'),
                    parley.create_room('chat', rule => 'polite'), parley.create_room('plain')
                """)
            let ann = try await TestClient.connect(to: nodes[0])
            for room in ["stuck", "chat", "plain"] { try await ann.join(room) }
            await ann.send(#"{"method":"message","id":1,"roomId":"stuck","message":1}"#)
            for id in 1...3 {
                await ann.send(#"{"method":"message","id":\#(id),"roomId":"chat","message":{"text":"hi"}}"#)
                await ann.say("hi", in: "plain", id: id)
            }
            for room in ["chat", "plain"] { _ = try await ann.changes(of: room, upTo: 3) }
            let refused = try await ann.expect { $0["method"]?.string == "error" }
            #expect(refused["roomId"]?.string == "stuck" && refused["code"]?.string == "forbidden")
            #expect(refused["reason"]?.string?.contains("took longer than") == true)
            // It is known now, and nobody waits for it any more.
            await ann.send(#"{"method":"message","id":2,"roomId":"stuck","message":2}"#)
            let start = ContinuousClock.now
            await ann.say("quick", in: "plain", id: 4)
            _ = try await ann.changes(of: "plain", upTo: 4)
            #expect(ContinuousClock.now - start < .milliseconds(500))
            _ = try await ann.expect { $0["id"]?.int == 2 && $0["code"]?.string == "forbidden" }
        }
    }

    @Test(
        "nodes that run as the nodes' role carry a conversation, values, rules and what SQL says, and outlive each other"
    )
    func roles() async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("rules")
        let url = try server.url(database: "rules")
        _ = try await Command(TestNode.executable.path, ["migrate", "--database-url", url]).succeed(
            within: .seconds(60), to: "migrate")
        _ = try await server.query(
            """
            SELECT parley.set_up_roles(); ALTER ROLE parley_node LOGIN;
            CREATE FUNCTION public.open(room text, shared jsonb, input parley.rule_input) RETURNS parley.ruling
            LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT parley.accept()';
            SELECT parley.create_rule('open', 'public.open')
            """, database: "rules")
        _ = try await Command(TestNode.executable.path, ["migrate", "--game", "--database-url", url]).succeed(
            within: .seconds(60), to: "make the game's rule")
        let nodes = try await Design.nodes(
            of: url.replacing("parley@", with: "parley_node@"), ["--lease-ms", "1000", "--grace-ms", "500"], count: 2)
        let ann = try await TestClient.connect(to: nodes[0])
        let bob = try await TestClient.connect(to: nodes[1])
        #expect(try await Self.create("tea", rule: "open", by: ann)["created"]?.bool == true)
        for client in [ann, bob] { try await client.join("tea") }
        await ann.say("hello", in: "tea", id: 1)
        await bob.send(#"{"method":"set","id":1,"roomId":"tea","set":{"cups":2}}"#)
        _ = try await server.query(
            "SET ROLE parley_app; SELECT parley.publish('tea', '\"from SQL\"')", database: "rules")
        for client in [ann, bob] { #expect(try await client.changes(of: "tea", upTo: 3).count == 3) }
        #expect(
            try await server.query(
                "SELECT count(DISTINCT usename) || min(usename) FROM pg_stat_activity WHERE application_name LIKE 'parley/%'",
                database: "rules") == "1parley_node")
        await ann.send(#"{"method":"create","id":2,"roomId":"board","rule":"board"}"#)
        try await ann.join("board")
        await ann.send(
            #"{"method":"message","id":3,"roomId":"board","message":{"take":{"x":1,"y":2,"color":"red"}}}"#)
        #expect(try await ann.changes(of: "board", upTo: 1)[1]?["set"]?["1,2"] != nil)
        await nodes[1].kill()
        let left = try await ann.expect { $0["method"]?.string == "leave" }
        #expect(left["left"]?.array?.compactMap(\.string) == [await bob.clientID], "declared dead, and cleared")
        await nodes[0].kill()
        _ = try await server.stop(.immediate)
    }
}
