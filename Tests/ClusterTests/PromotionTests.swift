import ParleyClient
import ParleyCluster
import ParleyCore
import TestPostgres
import Testing

@Suite("A standby is promoted under clients", .heavy)
struct PromotionTests {
    private static let patience = Duration.seconds(40)

    @Test("a lost tail: every client is told that what it saw is gone, and all go on with what is left")
    func lostTail() async throws {
        let primary = try TestPostgres.makeServer()
        _ = try await primary.start()
        _ = try await primary.createDatabase("rooms")
        let replica = try await TestReplica.start(of: primary)
        let nodes = try await Design.nodes(of: try replica.urlOfBoth(database: "rooms"), count: 2)
        let ann = ParleyClient.connect(nodes.map(\.address))
        let bob = ParleyClient.connect(nodes.reversed().map(\.address))
        let id = try await ann.create().id
        let annsRoom = try await ann.join(id)
        let bobsRoom = try await bob.join(id)
        for number in 1...20 { #expect(try await annsRoom.send("kept \(number)") == Seq(number)) }
        try await replica.catchUp()
        try await replica.cutOff()
        for number in 21...30 { #expect(try await annsRoom.send("lost \(number)") == Seq(number)) }
        try await Self.withPatience("read all") { try await Self.read(bobsRoom, upTo: 30) }

        _ = try await primary.stop(.immediate)
        try await replica.promote()
        for room in [annsRoom, bobsRoom] {
            let state = try await Self.withPatience("be told") { try await Self.readToDivergence(room) }
            #expect(state.to == 20)
            #expect(state.changes.last?.messageText == #""kept 20""#)
        }
        #expect(try await Self.withPatience("send") { try await annsRoom.send("new") } == 21)
        try await Self.withPatience("read on") {
            let last = try await Self.read(bobsRoom, upTo: 21)
            #expect(last.messageText == #""new""#)
        }
        await ann.close()
        await bob.close()
        for node in nodes { await node.kill() }
        _ = try await replica.server.stop(.immediate)
    }

    private struct Ended: Error {}
    private struct Slow: Error { var step: String }

    @discardableResult
    private static func read(_ room: ClientRoom, upTo seq: Seq) async throws -> Change {
        for await change in room.changes where change.seq >= seq { return change }
        throw Ended()
    }

    private static func readToDivergence(_ room: ClientRoom) async throws -> RoomState {
        for await event in room.events {
            if case .reset(let state) = event, state.isDiverged { return state }
        }
        throw Ended()
    }

    @discardableResult
    private static func withPatience<Value: Sendable>(
        _ step: String, _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: patience)
                throw Slow(step: step)
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw Ended() }
            return first
        }
    }
}
