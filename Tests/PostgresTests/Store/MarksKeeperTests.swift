import ParleyCore
import TestPostgres
import TestRandom
import Testing

@testable import ParleyPostgres

@Suite("Marks kept", .heavy)
struct MarksKeeperTests {
    private func change(_ client: String, _ id: Int64) -> String {
        "{\"clientId\":\"\(client)\",\"id\":\(id),\"at\":0,\"message\":{\"clientId\":\"bob\",\"id\":99}}"
    }

    @Test("what was noted and what came since say together what the log alone says, also beside the pruner")
    func together() async throws {
        let seed = UInt64.random(in: .min ... .max)
        print("MarksKeeperTests.together seed \(seed)")
        var random = SeededGenerator(seed: seed)
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let room = try await store.makeRoom("r1")
                let clients = ["ann", "bob", "cyd", "dan"]
                for client in clients { _ = try await store.enroll(join("r1", client)) }
                store.detour.start()
                var next: [String: Int64] = [:]
                var expected: [String: Marks] = [:]
                for round in 1...40 {
                    var texts: [String] = []
                    var refused: [RefusedIDs] = []
                    for _ in 0..<Int.random(in: 1...6, using: &random) {
                        // Dan says nothing.
                        let client = clients[Int.random(in: 0..<3, using: &random)]
                        let id = next[client, default: 0] + 1
                        next[client] = id
                        var marks = expected[client] ?? Marks(lastID: 0, refused: [])
                        marks.lastID = id
                        if Int.random(in: 0..<5, using: &random) == 0 {
                            refused.append(RefusedIDs(clientID: ClientID(client)!, ids: [id]))
                            marks.refused.append(id)
                        } else {
                            texts.append(change(client, id))
                        }
                        expected[client] = marks
                    }
                    if texts.isEmpty {
                        texts.append("{\"clientId\":\"dan\",\"at\":0,\"message\":1}")
                    }
                    let append = Append(
                        room: room, claim: 0, count: texts.count, tag: Tag(round),
                        body: Array(texts.joined(separator: ",").utf8), refused: refused)
                    _ = try await store.append([append])
                    if round.isMultiple(of: 7) { _ = try await store.marksKeeper.keep(room, changesMin: 1) }
                    if round == 30 {
                        try await database.run(
                            """
                            UPDATE parley.room SET retain_messages = 5, prune_at = now();
                            UPDATE parley.update_log SET at = now() - interval '1 day'
                            """)
                        _ = try await store.pruner.prune(chunksMax: 256)
                    }
                    guard round.isMultiple(of: 5) else { continue }
                    for client in clients {
                        let membership = try #require(
                            try await store.memberships.read(identity(client).key).first { $0.room == room })
                        #expect(
                            membership.marks == expected[client] ?? Marks(lastID: 0, refused: []), "\(client), \(round)"
                        )
                    }
                }
                let noted = try await database.query("SELECT last_seq FROM parley.mark_checkpoint")
                #expect(noted.map { $0.int8(0) > 0 } == [true])
                #expect(try await database.query("SELECT 1 FROM parley.update_log WHERE last_seq < 20").isEmpty)
            }
        }
    }

    @Test("of rooms that are equally busy few have their turn at the same time")
    func phases() {
        let phases = (1...1_000 as ClosedRange<Int64>).map { MarksKeeper.phase(of: RoomNumber($0)) }
        #expect(phases.allSatisfy { (0..<MarksKeeper.step).contains($0) })
        let together = Dictionary(grouping: phases) { $0 / 64 }.mapValues(\.count)
        #expect(together.count == 16 && together.values.allSatisfy { $0 < 100 }, "\(together)")
    }

    @Test("a room's turn comes by itself, every so many changes")
    func byItself() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let room = try await store.makeRoom("r1")
                _ = try await store.enroll(join("r1", "ann"))
                for round in 0..<3 {
                    let texts = (1...500).map { change("ann", Int64(round * 500 + $0)) }
                    let append = Append(
                        room: room, claim: 0, count: 500, tag: 1, body: Array(texts.joined(separator: ",").utf8))
                    #expect(try await store.append([append]) == [.applied(base: Seq(round * 500))])
                }
                // What is left is less than is worth a statement.
                try await waitUntil {
                    try await database.query("SELECT last_seq FROM parley.mark_checkpoint").contains {
                        1_500 - $0.int8(0) < 512
                    }
                }
                let noted = try await database.query(
                    "SELECT c.last_seq, m.last_id FROM parley.mark_checkpoint c JOIN parley.member_mark m USING (room_no)"
                )
                #expect(noted.map { $0.int8(0) == $0.int8(1) } == [true], "each change has the id of its place")
            }
        }
    }
}
