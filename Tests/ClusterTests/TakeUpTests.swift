import Foundation
import ParleyCluster
import TestPostgres
import Testing

/// One session, one socket, in the whole cluster.
@Suite("A session that is taken up on another node", .heavy)
struct TakeUpTests {
    @Test("closes the older socket with 4001, whatever tells the nodes", arguments: [Design.notify, .poll])
    func elsewhere(design: Design) async throws {
        let nodes = try await design.nodes()
        var older = try await TestClient.connect(to: nodes[0])
        let room = try await older.create()
        try await older.join(room)
        for round in 1...4 {
            let newer = try await TestClient.connect(to: nodes[round % 3], session: older.session)
            #expect(await newer.hello["resumed"]?.bool == true)
            #expect(await newer.hello["rooms"]?.array?.count == 1)
            #expect(try await older.expectClose() == 4001)
            older = newer
        }
        // The one that is left is a member still.
        try await older.join(room)
        await older.say("here", in: room, id: 1)
        _ = try await older.changes(of: room, upTo: 1)
        for node in nodes { await node.kill() }
    }

    @Test("closes the socket of a session that never was in a room, too")
    func neverJoined() async throws {
        let nodes = try await Design.notify.nodes()
        let older = try await TestClient.connect(to: nodes[0])
        let newer = try await TestClient.connect(to: nodes[1], session: older.session)
        #expect(await newer.hello["resumed"]?.bool == true)
        #expect(try await older.expectClose() == 4001)
        for node in nodes { await node.kill() }
    }

    @Test("closes the socket behind a stopped node when that node goes on", arguments: [Design.notify, .poll])
    func stopped(design: Design) async throws {
        let nodes = try await design.nodes()
        let older = try await TestClient.connect(to: nodes[0])
        await nodes[0].pause()
        let newer = try await TestClient.connect(to: nodes[1], session: older.session)
        #expect(await newer.hello["resumed"]?.bool == true)
        await nodes[0].resume()
        #expect(try await older.expectClose() == 4001)
        await newer.send(#"{"method":"ping","id":1}"#)
        _ = try await newer.expect { $0["method"]?.string == "ping" }
        for node in nodes { await node.kill() }
    }

    @Test("what waited for a stopped node takes nothing from a socket that was opened meanwhile on another")
    func waited() async throws {
        let nodes = try await Design.notify.nodes()
        let older = try await TestClient.connect(to: nodes[0])
        let session = await older.session
        await nodes[1].pause()
        let waiting = Task {
            try await RawHTTP.ask(
                nodes[1],
                "GET /ws?session=\(session) HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        }
        // Time is what this is about: so much later that nodes cannot be wrong about which came first.
        try await Task.sleep(for: .milliseconds(500))
        let newer = try await TestClient.connect(to: nodes[0], session: session)
        await nodes[1].resume()
        let answer = try await waiting.value
        #expect(answer.hasEnded, "closed, and it does not answer that")
        #expect(answer.text.hasPrefix("HTTP/1.1 101") && !answer.text.contains(#""method":"connect""#))
        await newer.send(#"{"method":"ping","id":1}"#)
        _ = try await newer.expect { $0["method"]?.string == "ping" }
        for node in nodes { await node.kill() }
    }

    @Test("when several do so at once, exactly one socket is left, the one that came last")
    func race() async throws {
        let nodes = try await Design.notify.nodes()
        let first = try await TestClient.connect(to: nodes[0])
        let session = await first.session
        for _ in 1...5 {
            let clients = try await withThrowingTaskGroup(of: TestClient?.self) { group in
                for index in 0..<6 {
                    group.addTask {
                        // One that is overtaken before it has said `connect` is closed without it: with 1013 when the
                        // database heard of it after one that was opened later.
                        do {
                            return try await TestClient.connect(to: nodes[index % 3], session: session)
                        } catch let gone as TestClient.Gone {
                            #expect(["closed with 4001", "closed with 1013"].contains(gone.description))
                            return nil
                        }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }.compactMap(\.self)
            }
            var open = clients
            let deadline = ContinuousClock.now + TestClient.patience
            while open.count > 1, ContinuousClock.now < deadline {
                var still: [TestClient] = []
                for client in open where await client.closeCode == nil { still.append(client) }
                open = still
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(open.count == 1)
            for client in clients where client !== open.first { #expect(try await client.expectClose() == 4001) }
            let survivor = try #require(open.first)
            await survivor.send(#"{"method":"ping","id":1}"#)
            _ = try await survivor.expect { $0["method"]?.string == "ping" }
        }
        for node in nodes { await node.kill() }
    }

    @Test("waits for what an older socket has under way, also when one between them has gone already")
    func thirdSocket() async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("third")
        let nodes = try await Design.nodes(of: try server.url(database: "third"), count: 1)
        let first = try await TestClient.connect(to: nodes[0])
        let bob = try await TestClient.connect(to: nodes[0])
        let room = try await first.create()
        try await first.join(room)
        let writer = try await server.query(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'parley/writer'", database: "third")
        let pid = try #require(Int32(writer))

        kill(pid, SIGSTOP)
        defer { kill(pid, SIGCONT) }
        await first.say("under way", in: room, id: 1)
        await first.send(#"{"method":"ping","id":2}"#)
        _ = try await first.expect { $0["method"]?.string == "ping" }
        let second = try await TestClient.open(to: nodes[0], session: first.session)
        #expect(try await first.expectClose() == 4001)
        let third = try await TestClient.open(to: nodes[0], session: first.session)
        #expect(try await second.expectClose() == 4001)
        // Another one that comes later has its session at once.
        _ = try await TestClient.connect(to: nodes[0], session: bob.session)
        #expect(await third.frames.isEmpty, "the id of the first socket's message is not settled yet")
        kill(pid, SIGCONT)

        let hello = try await third.expect { $0["method"]?.string == "connect" }
        #expect(hello["rooms"]?.array?.first?["lastId"]?.int == 1)
        try await third.join(room)
        for id in 1...2 { await third.say("\(id)", in: room, id: id) }
        let seen = try await third.changes(of: room, upTo: 2)
        #expect(seen.sorted { $0.key < $1.key }.map { $0.value["message"]?.string } == ["under way", "2"])
        for node in nodes { await node.kill() }
        _ = try await server.stop(.immediate)
    }

    @Test("is not given back to a socket that was given up, when the paused node that has it goes on")
    func stale() async throws {
        let database = try await TestPostgres.shared.makeDatabase()
        let nodes = try await Design.nodes(of: database, count: 2)
        let first = try await TestClient.connect(to: nodes[0])
        let room = try await first.create()
        try await first.join(room)
        let token = await first.session
        await nodes[1].pause()
        async let late = TestClient.open(to: nodes[1], session: token)
        let second = try await TestClient.connect(to: nodes[0], session: token)
        try await second.join(room)
        await nodes[1].resume()
        #expect(try await late.expectClose() == 1013)
        await second.send(#"{"method":"ping","id":5}"#)
        _ = try await second.expect { $0["method"]?.string == "ping" }
        // Who bears the newest token is welcome anywhere.
        let third = try await TestClient.connect(to: nodes[1], session: second.session)
        #expect(await third.hello["resumed"]?.bool == true)
        #expect(try await second.expectClose() == 4001)
        for node in nodes { await node.kill() }
    }

    @Test("is given to a client that never read the token of its last socket, long before the grace is over")
    func unreadToken() async throws {
        let nodes = try await Design.nodes(of: try await TestPostgres.shared.makeDatabase(), count: 2)
        let bob = try await TestClient.connect(to: nodes[1])
        let room = try await bob.create()
        try await bob.join(room)
        let first = try await TestClient.connect(to: nodes[0])
        try await first.join(room)
        let token = await first.session
        await first.drop()
        // It joins before `connect` is there, and is lost before it has read anything.
        let second = try await TestClient.open(to: nodes[0], session: token)
        await second.send(#"{"method":"join","id":1,"roomId":"\#(room)"}"#)
        _ = try await second.expect { $0["state"] != nil }
        await second.drop()
        for node in [nodes[1], nodes[0]] {
            let third = try await comeBack(to: node, session: token)
            #expect(await third.hello["resumed"]?.bool == true)
            #expect(await third.hello["rooms"]?.array?.count == 1)
            try await third.join(room)
            await third.drop()
        }
        #expect(await bob.frames.count { $0["left"] != nil } == 0)
        for node in nodes { await node.kill() }
    }

    /// As a client does that is told to come back later: soon enough to show that it need not wait for its grace.
    private func comeBack(to node: TestNode, session: String) async throws -> TestClient {
        let deadline = ContinuousClock.now + .seconds(8)
        while true {
            let client = try await TestClient.open(to: node, session: session)
            do {
                _ = try await client.expect { $0["method"]?.string == "connect" }
                return client
            } catch  where ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    @Test("is told to come back later, and a leave to ask later, while what is under way takes too long")
    func patience() async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("patience")
        let nodes = try await Design.nodes(
            of: try server.url(database: "patience"), ["--request-timeout-ms", "500"], count: 1)
        let ann = try await TestClient.connect(to: nodes[0])
        let room = try await ann.create()
        try await ann.join(room)
        // From here on the writer has its row, so that the next batch is really under way when its backend stops.
        await ann.say("before", in: room, id: 1)
        _ = try await ann.changes(of: room, upTo: 1)
        let writer = try await server.query(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'parley/writer'", database: "patience")
        let pid = try #require(Int32(writer))

        // Nor may a new connection find out what became of the batch.
        let stat = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        let parent = try #require(stat.split(separator: ") ").last?.split(separator: " ").dropFirst().first)
        let pids = [try #require(Int32(parent)), pid]
        for pid in pids { kill(pid, SIGSTOP) }
        defer { for pid in pids { kill(pid, SIGCONT) } }
        await ann.say("under way", in: room, id: 2)
        await ann.send(#"{"method":"leave","id":3,"roomId":"\#(room)"}"#)
        let answer = try await ann.expect { $0["id"]?.int == 3 }
        #expect(answer["code"]?.string == "unavailable")
        for _ in 1...2 {
            let again = try await TestClient.open(to: nodes[0], session: ann.session)
            #expect(try await again.expectClose() == 1013)
        }
        for pid in pids { kill(pid, SIGCONT) }
        let back = try await TestClient.connect(to: nodes[0], session: ann.session)
        #expect(await back.hello["rooms"]?.array?.count == 1)
        for node in nodes { await node.kill() }
        _ = try await server.stop(.immediate)
    }
}
