import NIOConcurrencyHelpers
import ParleyCore
import TestPostgres
import TestRandom
import Testing

@testable import ParleyPostgres

@Suite("Append", .heavy)
struct AppendTests {
    @Test("a batch numbers each room on its own, without gaps, and stores the bytes as they are")
    func numbersEachRoom() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let rooms = try await store.makeRooms(3)
                let first = try await store.append([
                    chunk([#""a""#, #""b""#], to: rooms[2]), chunk([#"{"x": 1.0 }"#], to: rooms[0]),
                ])
                let second = chunk([#""c""#, #""dä""#], to: rooms[2], tag: 7)
                let outcomes = try await store.append([second, chunk(["1"], to: rooms[1])])
                #expect(first == [.applied(base: 0), .applied(base: 0)])
                #expect(outcomes == [.applied(base: 2), .applied(base: 0)])
                let reads = try await store.readLog([LogCursor(room: rooms[2], after: 2)])
                #expect(
                    reads == [
                        LogRead(room: rooms[2], runs: [Run(from: 3, to: 4, tag: 7, body: second.body)], more: false)
                    ])
            }
        }
    }

    @Test("a room that is gone or closed is gone, and the others are applied")
    func goneRoom() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let rooms = try await store.makeRooms(2)
                try await database.query("UPDATE parley.room SET closed_at = now() WHERE room_id = 'r2'")
                let outcomes = try await store.append([
                    chunk(["1"], to: RoomNumber(999)), chunk(["1"], to: rooms[1]), chunk(["1"], to: rooms[0]),
                ])
                #expect(outcomes == [.gone, .gone, .applied(base: 0)])
                #expect(try await store.append([chunk(["1"], to: rooms[1])]) == [.gone])
                #expect(try await store.appendApart(chunk(["1"], to: rooms[1]), waits: true) == .gone)
            }
        }
    }

    @Test("an old claim is refused with the new one, for its room only")
    func oldClaim() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let rooms = try await store.makeRooms(2)
                try await database.query("UPDATE parley.room SET claim_seq = 5 WHERE room_id = 'r1'")
                let outcomes = try await store.append([chunk(["1"], to: rooms[0]), chunk(["1"], to: rooms[1])])
                #expect(outcomes == [.moved(claim: 5, members: []), .applied(base: 0)])
                #expect(try await store.add(["1"], to: rooms[0], claim: 5) == .applied(base: 0))
            }
        }
    }

    @Test("what a member sent to the node that it has left is refused, and the node is told who moved")
    func memberMoved() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore("n1") { one in
                try await database.withStore("n2") { two in
                    _ = try await one.createRoom(RoomCreation(id: room("tea")))
                    let ann = try await one.enroll(join("tea", "ann"))
                    let bob = try await one.enroll(join("tea", "bob"))
                    #expect(try await one.add(["1"], to: ann.room, ids: 1..<2, claim: ann.claim) == .applied(base: 0))
                    let moved = try await two.enroll(join("tea", "ann"))
                    #expect(moved.marks == Marks(lastID: 1))
                    let stale = try await one.add(["2"], to: ann.room, ids: 2..<3, claim: ann.claim)
                    #expect(stale == .moved(claim: moved.claim, members: [identity("ann").clientID]))
                    let again = try await one.add(["3"], to: ann.room, by: "bob", claim: moved.claim)
                    #expect(again == .applied(base: 1), "bob is here still")
                    #expect(bob.claim < moved.claim)
                    let newest = try await two.add(["4"], to: ann.room, ids: 2..<3, claim: moved.claim)
                    #expect(newest == .applied(base: 2))
                    #expect(try await wholeLog(of: ann.room, in: two) == ["1", "3", "4"])
                }
            }
        }
    }

    @Test("refused ids that travel with a chunk are what the next node knows of the member")
    func refusedIDs() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore("n1") { one in
                try await database.withStore("n2") { two in
                    _ = try await one.createRoom(RoomCreation(id: room("tea")))
                    let ann = try await one.enroll(join("tea", "ann"))
                    var append = chunk(["1"], to: ann.room, ids: 7..<8, claim: ann.claim)
                    append.refused = [
                        RefusedIDs(clientID: identity("ann").clientID, ids: [2, 5]),
                        RefusedIDs(clientID: identity("bob").clientID, ids: [3]),
                    ]
                    #expect(try await one.append([append]) == [.applied(base: 0)])
                    #expect(try await two.enroll(join("tea", "ann")).marks == Marks(lastID: 7, refused: [2, 5]))
                }
            }
        }
    }

    @Test("data that cannot be stored is refused alone, whatever its place in the batch", arguments: 0..<5)
    func unfitData(at index: Int) async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let rooms = try await store.makeRooms(5)
                var appends = rooms.map { chunk(["1"], to: $0) }
                appends[index].body = Array("\u{0}".utf8)
                let outcomes = try await store.append(appends)
                for (position, outcome) in outcomes.enumerated() {
                    if position == index {
                        guard case .invalid = outcome else {
                            Issue.record("room \(position): \(outcome)")
                            continue
                        }
                    } else {
                        #expect(outcome == .applied(base: 0))
                    }
                }
                let heads = try await store.heads(of: rooms)
                #expect(heads.map(\.lastSeq).reduce(0, +) == 4)
            }
        }
    }

    @Test("a room that a foreign transaction holds is locked; the others are applied at once")
    func foreignLock() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let rooms = try await store.makeRooms(3)
                _ = try await store.append(rooms.map { chunk(["0"], to: $0) })
                try await database.holding("SELECT 1 FROM parley.room WHERE room_id = 'r2' FOR UPDATE") {
                    // Comes to its end while the room is held: after one lock timeout.
                    let outcomes = try await store.append(
                        rooms.map { chunk(["1"], to: $0) } + [chunk(["1"], to: RoomNumber(999))])
                    #expect(outcomes == [.applied(base: 1), .locked, .applied(base: 1), .gone])
                    let startApart = ContinuousClock.now
                    #expect(try await store.appendApart(chunk(["2"], to: rooms[1]), waits: true) == .locked)
                    #expect(ContinuousClock.now - startApart > .milliseconds(800))

                    async let apart = store.appendApart(chunk(["3"], to: rooms[1]), waits: true)
                    #expect(try await store.append([chunk(["3"], to: rooms[0])]) == [.applied(base: 2)])
                    #expect(try await apart == .locked)
                }
                #expect(try await store.appendApart(chunk(["4"], to: rooms[1]), waits: true) == .applied(base: 1))
            }
        }
    }

    @Test("a foreign lock on the whole table ends with unavailable, and nothing is applied")
    func tableLock() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let rooms = try await store.makeRooms(1)
                try await database.run(
                    """
                    CREATE FUNCTION hold() RETURNS integer LANGUAGE plpgsql AS
                    $$ BEGIN LOCK TABLE parley.update_log; RETURN 1; END $$
                    """)
                try await database.holding("SELECT hold()") {
                    await #expect(throws: StoreError.self) { try await store.append([chunk(["1"], to: rooms[0])]) }
                }
                #expect(try await store.append([chunk(["1"], to: rooms[0])]) == [.applied(base: 0)])
            }
        }
    }

    @Test("a node that was declared dead has written nothing since, registers anew and goes on with what comes then")
    func fenced() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let rooms = try await store.makeRooms(1)
                for round in 0..<3 {
                    #expect(try await store.add(["1"], to: rooms[0]) == .applied(base: Seq(round)))
                    try await database.query("UPDATE parley.node SET dead_at = now()")
                    try await database.query("UPDATE parley.writer SET dead_at = now()")
                    let deaths = NIOLockedValueBox(0)
                    store.onDeath { deaths.withLockedValue { $0 += 1 } }
                    await #expect(throws: StoreError.self) { try await store.add(["late"], to: rooms[0]) }
                    #expect(deaths.withLockedValue { $0 } == 1)
                }
                #expect(try await store.add(["1"], to: rooms[0]) == .applied(base: 3))
                #expect(try await wholeLog(of: rooms[0], in: store) == ["1", "1", "1", "1"])
                let nodes = try await database.query("SELECT incarnation > 1, dead_at IS NULL FROM parley.node")
                #expect(nodes.map { $0.bool(0) } == [true])
                #expect(nodes.map { $0.bool(1) } == [true])
            }
        }
    }

    @Test("a node whose rows are gone registers as a new one and goes on")
    func rowsGone() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let rooms = try await store.makeRooms(1)
                let before = store.nodeNumber
                try await database.query("DELETE FROM parley.node")
                try await waitUntil { store.nodeNumber != before }
                #expect(try await store.add(["1"], to: rooms[0]) == .applied(base: 0))
            }
        }
    }

    @Test("two nodes that append to the same rooms at once leave no gap, and nobody is a deadlock's victim")
    func twoStores() async throws {
        let seed = UInt64.random(in: .min ... .max)
        print("append, two stores: seed \(seed)")
        try await ScratchDatabase.use { database in
            // Both on a machine that may be busy: what is held for long is told as locked, which is not what this is about.
            func patient(_ configuration: inout StoreConfiguration) {
                (configuration.lockTimeoutMin, configuration.lockTimeout) = (.milliseconds(900), .milliseconds(900))
            }
            try await database.withStore("n1", adjust: patient) { one in
                try await database.withStore("n2", adjust: patient) { two in
                    let rooms = try await one.makeRooms(20)
                    let batches = 150
                    let written = try await withThrowingTaskGroup(of: [RoomNumber: [String]].self) { group in
                        for (index, store) in [one, two].enumerated() {
                            group.addTask {
                                var generator = SeededGenerator(seed: seed &+ UInt64(index))
                                var written: [RoomNumber: [String]] = [:]
                                for batch in 0..<batches {
                                    let chosen = rooms.shuffled(using: &generator).prefix(
                                        Int.random(in: 1...20, using: &generator))
                                    let appends = chosen.map { room in
                                        let messages = (0..<Int.random(in: 1...4, using: &generator)).map {
                                            "\"\(index)-\(batch)-\($0)\""
                                        }
                                        written[room, default: []] += messages
                                        return chunk(messages, to: room)
                                    }
                                    for outcome in try await store.append(appends) {
                                        guard case .applied = outcome else { throw Missing() }
                                    }
                                }
                                return written
                            }
                        }
                        return try await group.reduce(into: [RoomNumber: [String]]()) { all, part in
                            all.merge(part) { $0 + $1 }
                        }
                    }
                    for room in rooms {
                        let log = try await wholeLog(of: room, in: one)
                        #expect(log.count == written[room]?.count)
                        #expect(Set(log) == Set(written[room] ?? []))
                        for index in 0...1 {
                            let own = log.filter { $0.hasPrefix("\"\(index)-") }
                            #expect(own == written[room]?.filter { $0.hasPrefix("\"\(index)-") })
                        }
                    }
                }
            }
        }
    }
}

/// Reads a room from the first change to the last, and checks that the places follow each other.
func wholeLog(of room: RoomNumber, in store: PostgresRoomStore) async throws -> [String] {
    var messages: [String] = []
    var seq: Seq = 0
    while true {
        guard let read = try await store.readLog([LogCursor(room: room, after: seq)]).first else { return messages }
        for run in read.runs {
            #expect(run.from == seq + 1)
            #expect(run.count == run.messages.count)
            messages += run.messages
            seq = run.to
        }
        #expect(read.more || read.runs.last?.to == seq)
    }
}
