import ParleyClient
import ParleyCore
import TestPostgres
import Testing

/// The Swift client, on real nodes.
@Suite("The Swift client", .heavy)
struct ClientTests {
    @Test("create, join, send, read and leave", arguments: Design.allCases)
    func conversation(design: Design) async throws {
        let nodes = try await design.nodes()
        let ann = ParleyClient.connect([nodes[0].address])
        let bob = ParleyClient.connect([nodes[nodes.count - 1].address])
        let (id, isNew) = try await ann.create()
        #expect(isNew)
        #expect(try await bob.create(id).isNew == false)
        let annsRoom = try await ann.join(id, profile: #"{"name":"Ann"}"#)
        let bobsRoom = try await bob.join(id)
        #expect(try await annsRoom.send(["text": "hello"]) == 1)
        #expect(try await bobsRoom.send(json: "[1, 2]") == 2)
        var seen: [String] = []
        for await change in bobsRoom.changes {
            seen.append(change.messageText ?? "")
            if change.seq == 2 { break }
        }
        #expect(seen == [#"{"text":"hello"}"#, "[1, 2]"])
        await #expect(throws: ClientError.self) { try await ann.join("no-such-room") }
        await #expect(throws: ClientError.badRoomID) { try await ann.join("a/b") }
        try await annsRoom.leave()
        await #expect(throws: ClientError.notInRoom) { try await annsRoom.send("late") }
        await ann.close()
        await bob.close()
        for node in nodes { await node.kill() }
    }

    @Test("nodes die one after the other while it speaks: each message once, in order")
    func nodesKilled() async throws {
        let nodes = try await Design.nodes(of: try await TestPostgres.shared.makeDatabase())
        let client = ParleyClient.connect(nodes.map(\.address))
        let room = try await client.join(try await client.create().id)
        for number in 1...200 {
            #expect(try await room.send(number) == Seq(number))
            if number % 50 == 0, number / 50 < 3 { await nodes[number / 50 - 1].kill() }
        }
        var next = 1
        // A loop that is left loses nothing: the next one goes on where it was.
        for last in [30, 31, 200] {
            for await change in room.changes {
                #expect(try change.message(as: Int.self) == next)
                next += 1
                if next > last { break }
            }
        }
        await client.close()
        for node in nodes { await node.kill() }
    }

    @Test("who reads slowly gets everything, and no more is kept for it than the bound")
    func slowReader() async throws {
        let nodes = try await Design.memory.nodes()
        let client = ParleyClient.connect([nodes[0].address])
        let room = try await client.join(try await client.create().id, recent: 0)
        let count = 10_000
        for number in 1...count - 1 { room.send(json: "\(number)") { _ in } }
        // Waits behind all of them, while nobody reads.
        while true {
            do {
                _ = try await room.send(count)
                break
            } catch ClientError.tooManyWaiting {
                try await Task.sleep(for: .milliseconds(5))
            }
        }
        var seqs: [Seq] = []
        for await change in room.changes {
            seqs.append(change.seq)
            if change.messageText == "\(count)" { break }
        }
        #expect(seqs == Array(1...Seq(seqs.count)))
        #expect(seqs.count > 4_096)
        await client.close()
        for node in nodes { await node.kill() }
    }
}

extension TestNode {
    var address: NodeAddress { NodeAddress(host: "127.0.0.1", port: Int(port)) }
}
