import TestPostgres
import Testing

/// What every design must do alike. Clients are spread over all the nodes that the design has.
@Suite("A conversation", .heavy)
struct ConversationTests {
    @Test("members of a room see each other and the same changes in the same order", arguments: Design.allCases)
    func conversation(design: Design) async throws {
        let nodes = try await design.nodes()
        let ann = try await TestClient.connect(to: nodes[0])
        let bob = try await TestClient.connect(to: nodes[nodes.count - 1])
        let room = try await ann.create()
        let joined = try await ann.join(room, #","profile":{"name":"Ann"}"#)
        #expect(joined["count"]?.int == 1)
        #expect(joined["state"]?["to"]?.int == 0)
        let bobJoined = try await bob.join(room, #","profile":{"name":"Bob"}"#)
        #expect(bobJoined["clients"]?.array?.count == 2)
        let bobID = await bob.clientID
        let notice = try await ann.expect { $0["joined"] != nil }
        #expect(notice["joined"]?.array?.map { $0["clientId"]?.string } == [bobID])
        #expect(notice["count"]?.int == 2)

        let count = 200
        for number in 1...count / 2 {
            await ann.say("a\(number)", in: room, id: number)
            await bob.say("b\(number)", in: room, id: number)
        }
        let seenByAnn = try await ann.changes(of: room, upTo: count)
        let seenByBob = try await bob.changes(of: room, upTo: count)
        #expect(seenByAnn == seenByBob)
        #expect(seenByAnn.keys.sorted() == Array(1...count))
        let said = seenByAnn.sorted { $0.key < $1.key }.compactMap { $0.value["message"]?.string }
        #expect(said.filter { $0.hasPrefix("a") } == (1...count / 2).map { "a\($0)" })
        #expect(said.filter { $0.hasPrefix("b") } == (1...count / 2).map { "b\($0)" })
        for node in nodes { await node.kill() }
    }

    @Test("a repeated id is acknowledged and not applied again", arguments: Design.allCases)
    func duplicate(design: Design) async throws {
        let nodes = try await design.nodes()
        let ann = try await TestClient.connect(to: nodes[0])
        let room = try await ann.create()
        try await ann.join(room)
        await ann.say("once", in: room, id: 5)
        try await ann.expect { $0["method"]?.string == "update" }
        await ann.say("once", in: room, id: 5)
        let ack = try await ann.expect { $0["method"]?.string == "ack" }
        #expect(ack["id"]?.int == 5)
        #expect(ack["duplicate"]?.bool == true)
        await ann.say("twice", in: room, id: 6)
        let changes = try await ann.changes(of: room, upTo: 2)
        #expect(changes[2]?["message"]?.string == "twice")
        for node in nodes { await node.kill() }
    }

    @Test("a join continues from a position, from a seq, and resets what is beyond", arguments: Design.allCases)
    func after(design: Design) async throws {
        let nodes = try await design.nodes()
        let ann = try await TestClient.connect(to: nodes[0])
        let bob = try await TestClient.connect(to: nodes[nodes.count - 1])
        let room = try await ann.create()
        try await ann.join(room)
        for number in 1...20 { await ann.say("\(number)", in: room, id: number) }
        _ = try await ann.changes(of: room, upTo: 20)

        let recent = try await bob.join(room, #","recent":3"#)
        #expect(recent["state"]?["from"]?.int == 18)
        #expect(recent["state"]?["values"] != nil)
        let position = try #require(recent["state"]?["position"]?.string)
        await ann.say("21", in: room, id: 21)
        _ = try await bob.changes(of: room, upTo: 21)
        let continued = try await bob.join(room, #","after":"\#(position)""#)
        #expect(continued["state"]?["from"]?.int == 21)
        #expect(continued["state"]?["reset"]?.bool == false)
        #expect(continued["state"]?["values"] == nil)
        let bySeq = try await bob.join(room, #","after":19"#)
        #expect(bySeq["state"]?["from"]?.int == 20)
        let beyond = try await bob.join(room, #","after":500"#)
        #expect(beyond["state"]?["reset"]?.bool == true)
        #expect(beyond["state"]?["diverged"]?.bool == true)
        let other = try await bob.join(room, #","after":"20-0""#)
        #expect(other["state"]?["diverged"]?.bool == true)
        for node in nodes { await node.kill() }
    }

    @Test("history pages in both directions", arguments: Design.allCases)
    func history(design: Design) async throws {
        let nodes = try await design.nodes()
        let ann = try await TestClient.connect(to: nodes[0])
        let room = try await ann.create()
        try await ann.join(room)
        for number in 1...30 { await ann.say("\(number)", in: room, id: number) }
        _ = try await ann.changes(of: room, upTo: 30)
        let cases: [(ask: String, from: Int, to: Int, more: Bool)] = [
            (#""after":0,"limit":10"#, 1, 10, true), (#""before":11,"limit":10"#, 1, 10, false),
            (#""limit":5"#, 26, 30, true), (#""after":28"#, 29, 30, false), (#""after":30"#, 31, 30, false),
            (#""after":10,"before":14,"limit":2"#, 11, 12, true), (#""before":1"#, 1, 0, false),
        ]
        for (ask, from, to, more) in cases {
            await ann.send(#"{"method":"history","id":9,"roomId":"\#(room)",\#(ask)}"#)
            let page = try await ann.expect { $0["method"]?.string == "history" }
            #expect(page["from"]?.int == from, "\(ask)")
            #expect(page["to"]?.int == to, "\(ask)")
            #expect(page["more"]?.bool == more, "\(ask)")
            #expect(page["first"]?.int == 1)
            let said = page["changes"]?.array?.compactMap { $0["message"]?.string }
            #expect(said == (from..<to + 1).map(String.init), "\(ask)")
        }
        for node in nodes { await node.kill() }
    }

    @Test("who leaves is told so, the others too, and is refused afterwards", arguments: Design.allCases)
    func leave(design: Design) async throws {
        let nodes = try await design.nodes()
        let ann = try await TestClient.connect(to: nodes[0])
        let bob = try await TestClient.connect(to: nodes[nodes.count - 1])
        let room = try await ann.create()
        try await ann.join(room)
        try await bob.join(room)
        // Whoever comes and goes between two polls is never heard of.
        _ = try await ann.expect { $0["joined"] != nil }
        await bob.say("bye", in: room, id: 7)
        await bob.send(#"{"method":"leave","id":8,"roomId":"\#(room)"}"#)
        let reply = try await bob.expect { $0["method"]?.string == "leave" }
        #expect(reply["reason"]?.string == "left")
        #expect(reply["lastId"]?.int == 7)
        let bobID = await bob.clientID
        let notice = try await ann.expect { $0["left"] != nil }
        #expect(notice["left"]?.array?.map(\.string) == [bobID])
        #expect(notice["count"]?.int == 1)
        await bob.say("ghost", in: room, id: 8)
        let error = try await bob.expect { $0["method"]?.string == "error" }
        #expect(error["code"]?.string == "not_joined")
        for node in nodes { await node.kill() }
    }

    @Test(
        "a session is taken up on another socket: same client, lastId told, the older socket ends",
        arguments: Design.allCases)
    func resume(design: Design) async throws {
        let nodes = try await design.nodes()
        let ann = try await TestClient.connect(to: nodes[0])
        let room = try await ann.create()
        try await ann.join(room)
        await ann.say("one", in: room, id: 1)
        _ = try await ann.changes(of: room, upTo: 1)
        let again = try await TestClient.connect(to: nodes[0], session: ann.session)
        #expect(try await ann.expectClose() == 4001)
        let hello = await again.hello
        #expect(hello["resumed"]?.bool == true)
        #expect(hello["clientId"]?.string == (await ann.clientID))
        #expect(hello["rooms"]?.array?.first?["roomId"]?.string == room)
        let joined = try await again.join(room, #","after":1"#)
        #expect(joined["lastId"]?.int == 1)
        await again.say("one", in: room, id: 1)
        try await again.expect { $0["method"]?.string == "ack" }
        for node in nodes { await node.kill() }
    }

    @Test(
        "what a member shows for a moment reaches members on all nodes that are told, itself included",
        arguments: [
            Design.memory, .notify,
        ])
    func signal(design: Design) async throws {
        let nodes = try await design.nodes()
        let ann = try await TestClient.connect(to: nodes[0])
        let bob = try await TestClient.connect(to: nodes[nodes.count - 1])
        let room = try await ann.create()
        try await ann.join(room)
        try await bob.join(room)
        let annID = await ann.clientID
        await ann.send(#"{"method":"signal","roomId":"\#(room)","signal":{"typing":true},"key":"k"}"#)
        for client in [ann, bob] {
            let frame = try await client.expect { $0["method"]?.string == "signal" }
            #expect(frame["roomId"]?.string == room)
            let signals = try #require(frame["signals"]?.array)
            #expect(signals.count == 1)
            #expect(signals.first?["clientId"]?.string == annID)
            #expect(signals.first?["key"]?.string == "k")
            #expect(signals.first?["signal"]?["typing"]?.bool == true)
        }
        for node in nodes { await node.kill() }
    }

    @Test("values are set where their condition holds, and come with a join", arguments: Design.allCases)
    func values(design: Design) async throws {
        let nodes = try await design.nodes()
        let ann = try await TestClient.connect(to: nodes[0])
        let bob = try await TestClient.connect(to: nodes[nodes.count - 1])
        let room = try await ann.create()
        try await ann.join(room)
        func set(_ id: Int, _ rest: String) -> String { #"{"method":"set","id":\#(id),"roomId":"\#(room)",\#(rest)}"# }
        await ann.send(set(1, #""set":{"score":1.0,"turn":"ann"},"if":{"score":0}"#))
        await ann.send(set(2, #""set":{"score":2},"if":{"score":7}"#))
        await ann.send(set(3, #""set":{"turn":null},"if":{"score":1}"#))
        let conflict = try await ann.expect { $0["method"]?.string == "error" }
        #expect(conflict["id"]?.int == 2)
        #expect(conflict["code"]?.string == "conflict")
        #expect(conflict["versions"]?["score"]?.int == 1)
        let changes = try await ann.changes(of: room, upTo: 2)
        #expect(changes[2]?["id"]?.int == 3)
        let joined = try await bob.join(room)
        #expect(joined["state"]?["values"]?["score"] != nil)
        #expect(joined["state"]?["values"]?["turn"] == nil)
        #expect(joined["state"]?["versions"]?["score"]?.int == 1)
        await ann.send(set(2, #""set":{"score":2}"#))
        let again = try await ann.expect { $0["method"]?.string == "error" }
        #expect(again["code"]?.string == "refused_before")
        for node in nodes { await node.kill() }
    }

    @Test("a token that was forged gives a fresh session")
    func forged() async throws {
        let nodes = try await Design.memory.nodes()
        let ann = try await TestClient.connect(to: nodes[0])
        let client = try await TestClient.connect(to: nodes[0], session: String(ann.session.dropLast(2)) + "AA")
        #expect(await client.hello["resumed"]?.bool == false)
        #expect(await client.clientID != (await ann.clientID))
        for node in nodes { await node.kill() }
    }

    @Test("a member whose socket was lost is told as left only after the grace")
    func grace() async throws {
        let nodes = try await Design.memory.nodes(["--grace-ms", "500"])
        let ann = try await TestClient.connect(to: nodes[0])
        let bob = try await TestClient.connect(to: nodes[0])
        let room = try await ann.create()
        try await ann.join(room)
        try await bob.join(room)
        let start = ContinuousClock.now
        await bob.drop()
        let bobID = await bob.clientID
        let notice = try await ann.expect { $0["left"] != nil }
        #expect(notice["left"]?.array?.map(\.string) == [bobID])
        #expect(ContinuousClock.now - start >= .milliseconds(490))
        for node in nodes { await node.kill() }
    }
}
