import TestPostgres
import Testing

/// Requests that a client sends one behind the other, without waiting for answers.
@Suite("Requests in a row", .heavy)
struct PipelinedTests {
    @Test("rooms that are being created do not count as rooms that one is in")
    func creates() async throws {
        let nodes = try await Design.notify.nodes()
        let ann = try await TestClient.connect(to: nodes[0])
        let room = try await ann.create()
        for number in 1...130 { await ann.send(#"{"method":"create","roomId":"\#(room)-\#(number)"}"#) }
        try await ann.join(room)
        for node in nodes { await node.kill() }
    }

    @Test("the limit of rooms is of the session: who comes back and has joined none of them anew gets no further ones")
    func limit() async throws {
        let nodes = try await Design.nodes(of: try await TestPostgres.shared.makeDatabase(), count: 1)
        let ann = try await TestClient.connect(to: nodes[0])
        let max = try #require(await ann.hello["limits"]?["rooms"]?.int)
        for number in 0...max {
            await ann.send(#"{"method":"create","roomId":"room-\#(number)"}"#)
            if number < max { await ann.send(#"{"method":"join","id":\#(number + 1),"roomId":"room-\#(number)"}"#) }
        }
        var joined: Set<Int> = []
        while joined.count < max {
            joined.insert(
                try await ann.expect { $0["method"]?.string == "join" && $0["state"] != nil }["id"]?.int ?? -1)
        }
        await ann.drop()
        let again = try await TestClient.connect(to: nodes[0], session: ann.session)
        #expect(await again.hello["rooms"]?.array?.count == max)
        await again.send(#"{"method":"join","id":1,"roomId":"room-\#(max)"}"#)
        #expect(try await again.expect { $0["method"]?.string == "error" }["code"]?.string == "forbidden")
        try await again.join("room-0")
        await again.send(#"{"method":"leave","id":3,"roomId":"room-0"}"#)
        _ = try await again.expect { $0["reason"]?.string == "left" }
        try await again.join("room-\(max)")
        for node in nodes { await node.kill() }
    }

    @Test("who leaves hears of it by its reply alone", arguments: [Design.memory, .notify])
    func leaves(design: Design) async throws {
        let nodes = try await design.nodes()
        let ann = try await TestClient.connect(to: nodes[0])
        let room = try await ann.create()
        for number in 1...60 {
            await ann.send(#"{"method":"join","roomId":"\#(room)"}"#)
            await ann.send(#"{"method":"leave","id":\#(number),"roomId":"\#(room)"}"#)
        }
        try await ann.expect { $0["method"]?.string == "leave" && $0["id"]?.int == 60 }
        let frames = await ann.frames
        #expect(frames.count { $0["left"] != nil } == 0)
        #expect(frames.count { $0["reason"]?.string == "left" } == 60)
        for node in nodes { await node.kill() }
    }

    @Test("a refused id stays refused for who leaves and joins again", arguments: [Design.memory, .notify])
    func refusedThenLeft(design: Design) async throws {
        let nodes = try await design.nodes()
        let ann = try await TestClient.connect(to: nodes[0])
        let room = try await ann.create()
        try await ann.join(room)
        await ann.send(#"{"method":"set","id":2,"roomId":"\#(room)","set":{"a":1},"if":{"a":7}}"#)
        #expect(try await ann.expect { $0["method"]?.string == "error" }["code"]?.string == "conflict")
        await ann.send(#"{"method":"leave","id":9,"roomId":"\#(room)"}"#)
        #expect(try await ann.expect { $0["reason"]?.string == "left" }["lastId"]?.int == 2)
        let joined = try await ann.join(room)
        #expect(joined["lastId"]?.int == 2)
        await ann.say("again", in: room, id: 2)
        #expect(try await ann.expect { $0["method"]?.string == "error" }["code"]?.string == "refused_before")
        for node in nodes { await node.kill() }
    }

    @Test("who asks for a thousand pages at once gets them all, and another is let in meanwhile")
    func reads() async throws {
        let nodes = try await Design.nodes(of: try await TestPostgres.shared.makeDatabase(), count: 1)
        let ann = try await TestClient.connect(to: nodes[0])
        let bob = try await TestClient.connect(to: nodes[0])
        let room = try await ann.create()
        try await ann.join(room)
        for number in 1...50 { await ann.say("\(number)", in: room, id: number) }
        _ = try await ann.changes(of: room, upTo: 50)
        for number in 1...1_000 {
            await ann.send(#"{"method":"history","id":\#(number),"roomId":"\#(room)","limit":50}"#)
        }
        try await bob.join(room)
        var answered: Set<Int> = []
        while answered.count < 1_000 {
            let page = try await ann.expect { $0["method"]?.string == "history" || $0["method"]?.string == "error" }
            #expect(page["changes"]?.array?.count == 50)
            answered.insert(page["id"]?.int ?? 0)
        }
        for node in nodes { await node.kill() }
    }

    @Test("of signals that come too fast the last is seen, on every node, and far fewer than all")
    func signals() async throws {
        let nodes = try await Design.nodes(of: try await TestPostgres.shared.makeDatabase(), count: 2)
        let ann = try await TestClient.connect(to: nodes[0])
        let bob = try await TestClient.connect(to: nodes[1])
        let room = try await ann.create()
        for client in [ann, bob] { try await client.join(room) }
        for number in 1...2_000 {
            await ann.send(#"{"method":"signal","roomId":"\#(room)","signal":\#(number),"key":"cursor"}"#)
        }
        try await bob.expect { $0["signals"]?.array?.contains { $0["signal"]?.int == 2_000 } == true }
        #expect(await bob.frames.count { $0["method"]?.string == "signal" } < 500)
        for node in nodes { await node.kill() }
    }

    @Test("a malformed message behind a join is refused in its turn, and another node knows it")
    func malformed() async throws {
        let nodes = try await Design.notify.nodes()
        let ann = try await TestClient.connect(to: nodes[0])
        let room = try await ann.create()
        await ann.send(#"{"method":"join","id":9,"roomId":"\#(room)"}"#)
        await ann.say("one", in: room, id: 1)
        await ann.send(#"{"method":"message","id":2,"roomId":"\#(room)","message":"\u0000"}"#)
        await ann.say("three", in: room, id: 3)
        let changes = try await ann.changes(of: room, upTo: 2)
        #expect(changes.sorted { $0.key < $1.key }.map { $0.value["id"]?.int } == [1, 3])
        let again = try await TestClient.connect(to: nodes[1], session: ann.session)
        let joined = try await again.join(room)
        #expect(joined["lastId"]?.int == 3)
        #expect(joined["refused"]?.array?.map(\.int) == [2])
        await again.say("two", in: room, id: 2)
        let error = try await again.expect { $0["method"]?.string == "error" }
        #expect(error["code"]?.string == "refused_before")
        for node in nodes { await node.kill() }
    }
}
