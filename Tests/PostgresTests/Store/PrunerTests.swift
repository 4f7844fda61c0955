import ParleyCore
import TestPostgres
import TestRandom
import Testing

@testable import ParleyPostgres

@Suite("Pruner", .heavy)
struct PrunerTests {
    /// Prunes when the test says so, and whatever is over at once.
    private func onDemand(_ configuration: inout StoreConfiguration) {
        configuration.pruneEvery = .seconds(3_600)
        configuration.pruneAgeMin = .zero
    }

    private func frequent(_ configuration: inout StoreConfiguration) {
        configuration.pruneEvery = .milliseconds(20)
        configuration.pruneAgeMin = .zero
    }

    /// All that is due, with the rooms that are to wait made due.
    @discardableResult
    private func prune(
        _ store: PostgresRoomStore, _ database: ScratchDatabase, chunksMax: Int32 = 100
    ) async throws -> Int {
        _ = try await database.query("UPDATE parley.room SET prune_at = now()")
        store.detour.start()
        var chunks = 0
        while let round = try await store.pruner.prune(chunksMax: chunksMax), round.chunks > 0 {
            chunks += round.chunks
        }
        return chunks
    }

    private func makeRoom(
        _ store: PostgresRoomStore, messages: Int64? = nil, seconds: Int64? = nil, id: String = "r1"
    ) async throws -> RoomNumber {
        _ = try await store.createRoom(
            RoomCreation(id: room(id), retainMessages: messages, retainSeconds: seconds))
        return try await store.number(of: id)
    }

    private func snapshot(
        _ store: PostgresRoomStore, _ room: RoomNumber, after point: ResumePoint
    ) async throws -> Snapshot {
        try await store.snapshot(SnapshotRequest(room: room, want: .after(point), bytesMax: 1_000_000))
    }

    private func history(
        _ store: PostgresRoomStore, _ room: RoomNumber, after: Seq? = nil, before: Seq? = nil
    ) async throws -> HistoryPage {
        try await store.history(
            HistoryRequest(room: room, after: after, before: before, limit: 100, bytesMax: 1_000_000))
    }

    @Test("by count, whole chunks go, the newest so many stay at least, and the edge is right for history and resume")
    func byCount() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore(adjust: onDemand) { store in
                let number = try await makeRoom(store, messages: 5)
                for (index, size) in [3, 3, 2, 2, 2].enumerated() {
                    try await store.add((0..<size).map { "\($0)" }, to: number, tag: Tag(index + 1))
                }
                #expect(try await prune(store, database) == 2, "6 of 12 lie before the newest 5, but a chunk at 7")
                #expect(try await prune(store, database) == 0)

                let page = try await history(store, number, after: 0)
                #expect(page.first == 7 && page.from == 7 && page.to == 12 && !page.more)
                #expect(try await history(store, number, before: 9).from == 7)
                let older = try await history(store, number, before: 7)
                #expect(older.first == 7 && older.to == older.from - 1 && !older.more)
                #expect(try await store.readLog([LogCursor(room: number, after: 0)]).first?.runs.first?.from == 7)

                for point in [ResumePoint.seq(6), .position(Position(seq: 6, tag: 2))] {
                    let edge = try await snapshot(store, number, after: point)
                    #expect(edge.continuity == .continues && edge.runs.first?.from == 7, "\(point)")
                }
                #expect(
                    try await snapshot(store, number, after: .position(Position(seq: 6, tag: 9))).continuity
                        == .diverged)
                for point in [ResumePoint.seq(5), .seq(0), .position(Position(seq: 5, tag: 2))] {
                    let lost = try await snapshot(store, number, after: point)
                    #expect(lost.continuity == .reset && lost.runs.first?.from == 7, "\(point)")
                }
                let messages = try await database.query("SELECT min(seq), count(*) FROM parley.messages")
                #expect(messages.first?.int8(0) == 7 && messages.first?.int8(1) == 6)
                #expect(try await database.query("SELECT first_seq FROM parley.rooms").first?.int8(0) == 7)
            }
        }
    }

    @Test("by age even the newest chunk goes; who has seen it goes on from there, and the room counts on")
    func byAge() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore(adjust: onDemand) { store in
                let number = try await makeRoom(store, seconds: 60)
                try await store.add(["1", "2"], to: number, tag: 1)
                try await store.add(["3"], to: number, tag: 2)
                #expect(try await prune(store, database) == 0)
                _ = try await database.query("UPDATE parley.update_log SET at = at - interval '61 s'")
                #expect(try await prune(store, database) == 2)

                let head = Position(seq: 3, tag: 2)
                let empty = try await snapshot(store, number, after: .position(head))
                #expect(empty.continuity == .continues && empty.runs.isEmpty && empty.head == head && empty.end == head)
                #expect(try await history(store, number, after: 0).first == 4)
                #expect(try await store.add(["4"], to: number, tag: 3) == .applied(base: 3))
                let next = try await snapshot(store, number, after: .position(head))
                #expect(next.continuity == .continues && next.runs.map(\.from) == [4])
                #expect(try await snapshot(store, number, after: .seq(2)).continuity == .reset)
            }
        }
    }

    @Test("both rules: what either says goes; a room without a rule keeps everything, and so does what is young")
    func rules() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore(adjust: onDemand) { store in
                let both = try await makeRoom(store, messages: 2, seconds: 60, id: "both")
                let whole = try await makeRoom(store, id: "whole")
                for room in [both, whole] {
                    for index in 1...4 { try await store.add(["\(index)"], to: room) }
                }
                #expect(try await prune(store, database) == 2)
                _ = try await database.query(
                    "UPDATE parley.update_log SET at = at - interval '61 s' WHERE last_seq = 3")
                #expect(try await prune(store, database) == 1)
                #expect(try await history(store, both, after: 0).first == 4)
                #expect(try await history(store, whole, after: 0).first == 1)
            }
            try await database.withStore(adjust: { $0.pruneEvery = .seconds(3_600) }) { store in
                let young = try await makeRoom(store, messages: 1, id: "young")
                for index in 1...4 { try await store.add(["\(index)"], to: young) }
                #expect(try await prune(store, database) == 0)
                _ = try await database.query("UPDATE parley.update_log SET at = at - interval '61 s'")
                #expect(try await prune(store, database) >= 3)
            }
        }
    }

    /// A log of members that speak with and without ids, are refused, join late and leave.
    @Test("what the log says of ids is the same after each chunk that goes as before", arguments: 0..<4)
    func marks(_: Int) async throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        try await ScratchDatabase.use { database in
            try await database.withStore(adjust: onDemand) { store in
                let number = try await makeRoom(store, messages: 1)
                let names = ["ann", "bob", "an", "cyd"]
                var ids = [String: Int64]()
                for name in names.dropLast() { _ = try await store.enroll(join("r1", name)) }
                for step in 1...60 {
                    if step == 40 { _ = try await store.enroll(join("r1", "cyd")) }
                    let name = names[Int.random(in: 0..<(step < 40 ? 3 : 4), using: &random)]
                    let from = (ids[name] ?? 0) + Int64.random(in: 1...2, using: &random)
                    var append = chunk(
                        ["1", #"{"clientId":"bob","id":999}"#].dropLast(Int.random(in: 0...1, using: &random)),
                        to: number, by: name, ids: Bool.random(using: &random) ? from..<from + 9 : nil)
                    if Bool.random(using: &random) {
                        append.refused = [RefusedIDs(clientID: ClientID(name)!, ids: [from - 1])]
                    }
                    ids[name] = from + 1
                    _ = try await store.append([append])
                }
                _ = try await store.withdraw(Withdrawal(room: number, session: identity("an").key))

                let expected = try await marks(of: names, store)
                #expect(expected.values.contains { !$0.refused.isEmpty })
                var pruned = 0
                repeat {
                    #expect(try await marks(of: names, store) == expected)
                    _ = try await database.query("UPDATE parley.room SET prune_at = now()")
                    store.detour.start()
                    pruned =
                        try await store.pruner.prune(chunksMax: Int32.random(in: 1...9, using: &random))?.chunks ?? 0
                } while pruned > 0
                #expect(try await marks(of: names, store) == expected)
                _ = try await database.query("UPDATE parley.room SET retain_seconds = 1")
                _ = try await database.query("UPDATE parley.update_log SET at = at - interval '2 s'")
                #expect(try await prune(store, database) == 1)
                #expect(try await marks(of: names, store) == expected)
                #expect(try await database.query("SELECT FROM parley.update_log").isEmpty)
            }
        }
    }

    private func marks(of names: [String], _ store: PostgresRoomStore) async throws -> [String: Marks] {
        var marks: [String: Marks] = [:]
        for name in names {
            let enrolled = try await store.enroll(join("r1", name))
            marks[name] = enrolled.marks
            let memberships = try await store.memberships.read(identity(name).key)
            #expect(memberships.map(\.marks) == [enrolled.marks])
        }
        return marks
    }

    @Test(
        "while one node writes and another prunes, whoever takes the session over learns of every id that was applied")
    func underLoad() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore("writing", adjust: onDemand) { writing in
                let number = try await makeRoom(writing, messages: 3)
                try await database.withStore("pruning", adjust: frequent) { pruning in
                    // Ann speaks now and then, so that what she said last is pruned; Bob says the rest.
                    _ = try await writing.enroll(join("r1", "ann"))
                    _ = try await writing.enroll(join("r1", "bob"))
                    var claim: Int64 = 0
                    for id in Int64(1)...150 {
                        let outcome = try await writing.add(
                            ["\(id)"], to: number, by: id % 8 == 1 ? "ann" : "bob", ids: id..<id + 1, claim: claim)
                        #expect(outcome == .applied(base: id - 1))
                        _ = try await database.query("UPDATE parley.room SET prune_at = now()")
                        if id % 10 == 0 {
                            let taken = try await pruning.enroll(join("r1", "ann"))
                            let expected = Marks(lastID: (id - 1) / 8 * 8 + 1)
                            #expect(taken.marks == expected)
                            let back = try await writing.enroll(join("r1", "ann"))
                            #expect(back.marks == expected)
                            claim = back.claim
                        }
                    }
                    try await waitUntil {
                        _ = try await database.query("UPDATE parley.room SET prune_at = now()")
                        return try await history(writing, number, after: 0).first == 148
                    }
                }
            }
        }
    }

    @Test("one node prunes at a time; a room that somebody holds waits, and keeps no other from its turn")
    func together() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore(adjust: onDemand) { store in
                for index in 1...3 {
                    let number = try await makeRoom(store, messages: 1, id: "r\(index)")
                    for _ in 1...3 { try await store.add(["1"], to: number) }
                }
                store.detour.start()
                let other = "SELECT pg_advisory_xact_lock(1348563564, 1886549358)"
                try await database.holding(other) {
                    let round = try await store.pruner.prune(chunksMax: 100)
                    #expect(round == nil)
                }
                let held = "SELECT 1 FROM parley.room WHERE room_id = 'r2' FOR UPDATE"
                try await database.holding(held) {
                    let round = try await store.pruner.prune(chunksMax: 100)
                    #expect(round == Pruner.Round(rooms: 2, chunks: 4))
                }
                #expect(try await store.pruner.prune(chunksMax: 100) == Pruner.Round(rooms: 1, chunks: 2))
                #expect(try await store.pruner.prune(chunksMax: 100) == Pruner.Round(rooms: 0, chunks: 0))
            }
        }
    }

    @Test("a room in which nothing is over is looked at later: when its oldest chunk will be, or by how quiet it is")
    func dueTime() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore(adjust: onDemand) { store in
                let aged = try await makeRoom(store, seconds: 1_000, id: "aged")
                let counted = try await makeRoom(store, messages: 10, id: "counted")
                for room in [aged, counted] { try await store.add(["1"], to: room) }
                _ = try await database.query("UPDATE parley.update_log SET at = at - interval '800 s'")
                #expect(try await prune(store, database) == 0)
                let rows = try await database.query(
                    """
                    SELECT extract(epoch FROM prune_at - clock_timestamp())::int8 FROM parley.room
                    WHERE room_id IN ('aged', 'counted') ORDER BY room_id
                    """)
                let seconds = rows.map { $0.int8(0) }
                #expect((150...200).contains(seconds[0]), "\(seconds)")
                #expect((80...101).contains(seconds[1]), "an eighth of 800: \(seconds)")
                let plan = try await database.query(
                    "SELECT indexdef FROM pg_indexes WHERE indexname = 'room_to_be_pruned'")
                #expect(plan.first?.text(0).contains("WHERE") == true, "rooms that keep everything are not in it")
            }
        }
    }
}
