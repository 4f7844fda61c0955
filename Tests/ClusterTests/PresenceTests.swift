import ParleyClient
import ParleyCluster
import TestPostgres
import Testing

/// What the others see of members whose nodes die, are paused or are restarted: nothing, if they come back in time.
@Suite("Presence", .heavy)
struct PresenceTests {
    private static let rooms = ["red", "green", "blue"]

    /// Ids that left, as an observer was told.
    private static func left(_ frames: [JSON]) -> [String] {
        frames.filter { $0["method"]?.string == "leave" || $0["method"]?.string == "join" }
            .flatMap { $0["left"]?.array?.compactMap(\.string) ?? [] }
    }

    @Test("a node is killed: of its members those who come back elsewhere are never told gone, the others in time")
    func killed() async throws {
        let (leaseMs, graceMs) = (2_000, 3_000)
        let nodes = try await Design.nodes(
            of: try await TestPostgres.shared.makeDatabase(), ["--lease-ms", "\(leaseMs)", "--grace-ms", "\(graceMs)"])
        let eve = try await TestClient.connect(to: nodes[2])
        for room in Self.rooms {
            _ = try await eve.create(room)
            try await eve.join(room)
        }
        var members: [TestClient] = []
        for index in 0..<12 {
            let member = try await TestClient.connect(to: nodes[0])
            try await member.join(Self.rooms[index % 3])
            members.append(member)
        }
        await nodes[0].kill()
        let killed = ContinuousClock.now
        var (staying, leaving): (Set<String>, Set<String>) = ([], [])
        for (index, member) in members.enumerated() {
            guard index.isMultiple(of: 2) else {
                leaving.insert(await member.clientID)
                continue
            }
            let again = try await TestClient.connect(to: nodes[1], session: member.session)
            staying.insert(await again.clientID)
            try await again.join(Self.rooms[index % 3])
        }
        while true {
            let left = Set(Self.left(await eve.frames))
            guard left != leaving else { break }
            try #require(ContinuousClock.now - killed < .seconds(30), "\(left) of \(leaving)")
            try await Task.sleep(for: .milliseconds(5))
        }
        let after = ContinuousClock.now - killed
        print(
            "killed: the last of \(leaving.count) was told gone \(after) later, lease \(leaseMs) and grace \(graceMs) ms"
        )
        #expect(after > .milliseconds(graceMs), "its grace counts from the death of the node")
        #expect(Self.left(await eve.frames).count == leaving.count, "each once")
        for node in nodes { await node.kill() }
    }

    @Test("who has come back and joins late, within the grace from `connect`, is not told gone with the dead node")
    func joinsLate() async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("late")
        let nodes = try await Design.nodes(
            of: try server.url(database: "late"), ["--lease-ms", "1000", "--grace-ms", "4000"], count: 2)
        let eve = try await TestClient.connect(to: nodes[1])
        let room = try await eve.create()
        try await eve.join(room)
        let ann = try await TestClient.connect(to: nodes[0])
        let bob = try await TestClient.connect(to: nodes[0])
        try await ann.join(room)
        try await bob.join(room)
        await nodes[0].kill()
        // Ann comes back when half of the dead node's grace is over, and joins when bob's end shows that all of it is:
        // her own, counted from then, is not.
        let halfway = "SELECT bool_or(grace_until < clock_timestamp() + interval '2 s') FROM parley.members"
        while try await server.query(halfway, database: "late") != "t" { await Task.yield() }
        let again = try await TestClient.connect(to: nodes[1], session: ann.session)
        _ = try await eve.expect { $0["left"]?.array?.isEmpty == false }
        #expect(Self.left(await eve.frames) == [await bob.clientID])
        try await again.join(room)
        await eve.say("hello", in: room, id: 1)
        _ = try await eve.changes(of: room, upTo: 1)
        #expect(Self.left(await eve.frames) == [await bob.clientID])
        for node in nodes { await node.kill() }
        _ = try await server.stop(.immediate)
    }

    @Test("all nodes are restarted one after the other under load: nobody is told gone, and nothing is lost")
    func rollingRestart() async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("rolling")
        let nodes = try await Design.nodes(
            of: try server.url(database: "rolling"), ["--drain-spread-ms", "300", "--grace-ms", "6000"])
        let addresses = nodes.map { NodeAddress(host: "127.0.0.1", port: Int($0.port)) }
        let count = 150
        var clients: [ParleyClient] = []
        for index in 0..<4 {
            clients.append(
                ParleyClient.connect([addresses[index % 3], addresses[(index + 1) % 3], addresses[(index + 2) % 3]]))
        }
        _ = try await clients[0].create("rolling")
        var rooms: [ClientRoom] = []
        for client in clients { rooms.append(try await client.join("rolling")) }
        let watched = rooms[0]
        let seen = Task {
            var (texts, gone): ([String], [String]) = ([], [])
            for await event in watched.events {
                switch event {
                case .changes(let changes): texts += changes.map { $0.messageText ?? "" }
                case .members(let news): gone += news.left
                case .joined(let state), .reset(let state): texts += state.changes.map { $0.messageText ?? "" }
                case .ended: break
                }
                if texts.count >= 3 * count { break }
            }
            return (texts, gone)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, room) in rooms.dropFirst().enumerated() {
                group.addTask {
                    for number in 0..<count {
                        _ = try await room.send(["text": "\(index).\(number)"])
                        try await Task.sleep(for: .milliseconds(20))
                    }
                }
            }
            for node in nodes {
                await node.terminate()
                #expect(await node.ended() == 0)
                try await node.start()
            }
            try await group.waitForAll()
        }
        let (texts, gone) = await seen.value
        #expect(texts.count == 3 * count, "each once")
        #expect(Set(texts).count == 3 * count, "and none missing")
        #expect(gone.isEmpty)
        let steps = try await server.query("SELECT roster_seq FROM parley.room", database: "rolling")
        #expect(steps == "4", "four joins, and nothing else")
        for client in clients { await client.close() }
        for node in nodes { await node.kill() }
        _ = try await server.stop(.immediate)
    }

    @Test("a node with all the sockets that it takes tells the next one to come back later")
    func full() async throws {
        let node = try await TestNode.start("n1", ["--store", "memory", "--sockets-max", "2"])
        let ann = try await TestClient.connect(to: node)
        _ = try await TestClient.connect(to: node)
        let cyd = try await TestClient.open(to: node)
        #expect(try await cyd.expectClose() == 1013)
        await ann.close()
        var later = try await TestClient.open(to: node)
        // Until the node has seen the goodbye.
        while (try? await later.expect { $0["method"]?.string == "connect" }) == nil {
            later = try await TestClient.open(to: node)
        }
        await node.kill()
    }
}
