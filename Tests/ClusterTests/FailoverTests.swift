import ParleyCluster
import TestPostgres
import Testing

/// A real standby that is promoted without the last that the primary had committed.
@Suite("A standby is promoted under connected clients", .heavy)
struct FailoverTests {
    @Test("who was told what is lost gets a fresh copy with `diverged`; other rooms notice nothing, and all goes on")
    func lostTail() async throws {
        let primary = try TestPostgres.makeServer()
        _ = try await primary.start()
        _ = try await primary.createDatabase("rooms")
        let replica = try await TestReplica.start(of: primary)
        let nodes = try await Design.nodes(of: try replica.urlOfBoth(database: "rooms"), count: 2)
        let ann = try await TestClient.connect(to: nodes[0])
        let bob = try await TestClient.connect(to: nodes[1])
        let (lossy, calm) = (try await ann.create(), try await ann.create())
        for client in [ann, bob] {
            try await client.join(lossy, #","profile":{"n":1}"#)
            try await client.join(calm)
        }
        await ann.say("kept", in: lossy, id: 1)
        await ann.say("calm", in: calm, id: 1)
        for client in [ann, bob] {
            _ = try await client.changes(of: lossy, upTo: 1)
            _ = try await client.changes(of: calm, upTo: 1)
        }
        try await replica.catchUp()
        try await replica.cutOff()
        await ann.say("lost", in: lossy, id: 2)
        for client in [ann, bob] { _ = try await client.changes(of: lossy, upTo: 2) }

        _ = try await primary.stop(.immediate)
        try await replica.promote()
        for client in [ann, bob] {
            let copy = try await client.expect { $0["method"]?.string == "join" && $0["state"] != nil }
            #expect(copy["roomId"]?.string == lossy)
            #expect(copy["state"]?["reset"]?.bool == true)
            #expect(copy["state"]?["diverged"]?.bool == true)
            #expect(copy["state"]?["to"]?.int == 1)
            #expect(copy["count"]?.int == 2)
            #expect(copy["clients"]?.array?.count == 2)
        }
        // As a client does that is told `unavailable`: again, the same id first.
        for (client, text, room) in [(ann, "new", lossy), (bob, "also", lossy), (bob, "calm too", calm)] {
            let id = 7
            while true {
                await client.say(text, in: room, id: id)
                let answer = try await client.expect { frame in
                    guard frame["roomId"]?.string == room else { return false }
                    return frame["method"]?.string == "error" || frame["method"]?.string == "ack"
                        || frame["method"]?.string == "update"
                            && frame["state"]?["changes"]?.array?.contains { $0["message"]?.string == text } == true
                }
                guard answer["method"]?.string == "error" else { break }
                try await Task.sleep(for: .milliseconds(answer["retryMs"]?.int ?? 100))
            }
        }
        for client in [ann, bob] {
            let seen = try await client.changes(of: lossy, upTo: 3).values.compactMap { $0["message"]?.string }
            #expect(seen.contains("new") && seen.contains("also"))
            _ = try await client.changes(of: calm, upTo: 2)
            let copies = await client.frames.filter { $0["state"]?["reset"]?.bool == true }
            #expect(copies.count == 1, "the calm room went on")
        }
        let log = try await replica.server.query(
            "SELECT seq, message FROM parley.messages WHERE room_id = '\(lossy)' AND client_id IS NOT NULL ORDER BY seq",
            database: "rooms")
        let said = log.split(separator: "\n").map { $0.split(separator: "|").last.map(String.init) }
        #expect(said.first == "\"kept\"")
        #expect(said.count == 3 && !said.contains("\"lost\""))
        for node in nodes { await node.kill() }
        _ = try await replica.server.stop(.immediate)
    }
}
