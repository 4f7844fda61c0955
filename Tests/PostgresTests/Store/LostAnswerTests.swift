import NIOConcurrencyHelpers
import ParleyCore
import TestPostgres
import TestRandom
import Testing

@testable import ParleyPostgres

@Suite("Append whose answer is lost", .heavy)
struct LostAnswerTests {
    /// What each batch of these tests holds: one room that is applied, one that has moved, one that is gone.
    private func batch(_ rooms: [RoomNumber]) -> [Append] {
        [
            chunk(["1", "2"], to: rooms[0]), chunk(["3"], to: rooms[1]), chunk(["4"], to: RoomNumber(999)),
        ]
    }

    private let outcomes: [AppendOutcome] = [.applied(base: 1), .moved(claim: 3, members: []), .gone]

    private func prepare(_ store: PostgresRoomStore, _ database: ScratchDatabase) async throws -> [RoomNumber] {
        let rooms = try await store.makeRooms(2)
        try await database.query("UPDATE parley.room SET claim_seq = 3 WHERE room_id = 'r2'")
        #expect(try await store.add(["0"], to: rooms[0]) == .applied(base: 0))
        return rooms
    }

    private func lastBatch(_ database: ScratchDatabase) async throws -> Int64 {
        try unwrap(try await database.query("SELECT last_batch FROM parley.writer WHERE kind = 'log'").first).int8(0)
    }

    @Test("a committed batch is not repeated, and each room's outcome is told exactly")
    func committed() async throws {
        try await ScratchDatabase.use { database in
            let (relay, relayed) = try await database.relayed()
            try await relayed.withStore { store in
                let rooms = try await prepare(store, database)
                relay.set(.swallowingAnswers)
                async let answer = store.append(batch(rooms))
                try await waitUntil { try await lastBatch(database) == 2 }
                relay.cut()
                #expect(try await answer == outcomes)
                #expect(try await wholeLog(of: rooms[0], in: store) == ["0", "1", "2"])
                #expect(try await store.add(["5"], to: rooms[0]) == .applied(base: 3))
                #expect(try await lastBatch(database) == 3)
            }
        }
    }

    @Test("a batch that never arrived is sent again; when it arrives late it has no effect")
    func neverArrived() async throws {
        try await ScratchDatabase.use { database in
            let (relay, relayed) = try await database.relayed()
            try await relayed.withStore { store in
                let rooms = try await prepare(store, database)
                relay.set(.holdingRequests)
                async let answer = store.append(batch(rooms))
                try await waitUntil { relay.heldBytes > 300 }
                relay.cut()
                #expect(try await answer == outcomes)
                #expect(relay.heldBytes > 300)
                relay.deliverHeld()
                #expect(try await store.add(["5"], to: rooms[0]) == .applied(base: 3))
                // The old backend has read it and its end, and is gone.
                try await waitUntil {
                    try await database.query(
                        """
                        SELECT FROM pg_stat_activity WHERE application_name = 'parley/writer'
                            AND datname = current_database()
                        """
                    ).count == 1
                }
                #expect(try await wholeLog(of: rooms[0], in: store) == ["0", "1", "2", "5"])
            }
        }
    }

    @Test("a batch that still waits for a lock when its connection is lost is waited for, not guessed at")
    func stillWaiting() async throws {
        try await ScratchDatabase.use { database in
            let (relay, relayed) = try await database.relayed()
            try await relayed.withStore(
                "n1", adjust: { ($0.lockTimeoutMin, $0.lockTimeout) = (.seconds(20), .seconds(20)) }
            ) { store in
                let rooms = try await prepare(store, database)
                let answer = try await database.holding("SELECT 1 FROM parley.room WHERE room_id = 'r1' FOR UPDATE") {
                    let task = Task { try await store.append(batch(rooms)) }
                    try await waitUntil { try await waitingWriters(database) == 1 }
                    relay.cut()
                    // The new connection now waits for the writer's row, which the old backend holds.
                    try await waitUntil { try await waitingWriters(database) == 2 }
                    return task
                }
                #expect(try await answer.value == outcomes)
                #expect(try await wholeLog(of: rooms[0], in: store) == ["0", "1", "2"])
            }
        }
    }

    private func waitingWriters(_ database: ScratchDatabase) async throws -> Int {
        try await database.query(
            """
            SELECT FROM pg_stat_activity
            WHERE application_name = 'parley/writer' AND wait_event_type = 'Lock' AND datname = current_database()
            """
        ).count
    }

    @Test("what a rule made of a batch whose answer was lost is read back: what it refused, changed and left alone")
    func ruledCommitted() async throws {
        try await ScratchDatabase.use { database in
            let (relay, relayed) = try await database.relayed()
            try await database.makeRule(
                "some",
                "CASE text WHEN 'no' THEN RETURN parley.refuse('no'); WHEN 'loud' THEN "
                    + "RETURN parley.accept(message => '\"LOUD\"'); ELSE RETURN NULL; END CASE;")
            try await relayed.withStore(adjust: patient) { store in
                let rooms = try await prepare(store, database)
                let tea = try await store.makeRoom("tea", rule: "some")
                let cake = try await store.makeRoom("cake", rule: "some")
                relay.set(.swallowingAnswers)
                async let answer = store.append([
                    ruled([#""as it is""#, #""no""#, #""loud""#, #"bob>"no""#, #""end""#], in: tea),
                    ruled([#""no""#], in: cake),
                ])
                try await waitUntil { try await lastBatch(database) == 2 }
                relay.cut()
                let outcomes = try await answer
                #expect(outcomes[0].letters == "axrxa")
                guard case .judged(0, let verdicts) = outcomes[0], case .rewritten(let change) = verdicts[2] else {
                    Issue.record("\(outcomes[0])")
                    return
                }
                #expect(String(decoding: change, as: UTF8.self).hasSuffix(#""message":"LOUD"}"#))
                #expect(outcomes[1] == .locked, "nothing of it was written, so it is judged again")
                #expect(try await store.append([ruled([#""no""#], in: cake)]).map(\.letters) == ["x"])
                #expect(try await wholeLog(of: rooms[0], in: store) == ["0"])
            }
        }
    }

    @Test("the caller's cancellation does not stop the search for the outcome")
    func cancelled() async throws {
        try await ScratchDatabase.use { database in
            let (relay, relayed) = try await database.relayed()
            try await relayed.withStore { store in
                let rooms = try await prepare(store, database)
                relay.set(.swallowingAnswers)
                let task = Task { try await store.append(batch(rooms)) }
                try await waitUntil { try await lastBatch(database) == 2 }
                relay.cut()
                task.cancel()
                #expect(try await task.value == outcomes)
            }
        }
    }

    @Test("backends that are terminated again and again lose nothing and double nothing")
    func terminated() async throws {
        let seed = UInt64.random(in: .min ... .max)
        print("append, terminated backends: seed \(seed)")
        try await ScratchDatabase.use { database in
            try await database.withStore("n1", adjust: { $0.connection.backoffFirst = .milliseconds(2) }) { store in
                let rooms = try await store.makeRooms(10)
                let isKilled = NIOLockedValueBox(false)
                let killer = Task {
                    var generator = SeededGenerator(seed: seed)
                    var kills = 0
                    let connection = PostgresConnection(
                        role: "killer", url: database.url, settings: ConnectionSettings(), logger: quietLogger)
                    connection.start()
                    let kill = Statement(
                        name: "kill",
                        sql: """
                            SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
                            WHERE application_name IN ('parley/writer', 'parley/registrar')
                                AND datname = current_database()
                            """)
                    while kills < 40 {
                        // Anywhere within a batch; longer than a new connection takes, so that batches go on.
                        try await Task.sleep(for: .microseconds(Int.random(in: 10_000...60_000, using: &generator)))
                        kills += Int(try unwrap(try await connection.execute(kill).first).int8(0))
                    }
                    await connection.close()
                    isKilled.withLockedValue { $0 = true }
                }
                var generator = SeededGenerator(seed: seed &+ 1)
                var expected: [RoomNumber: [String]] = [:]
                var told: [RoomNumber: [Seq: String]] = [:]
                var unseen = 0
                var batch = 0
                while !isKilled.withLockedValue({ $0 }) {
                    batch += 1
                    let chosen = rooms.shuffled(using: &generator).prefix(Int.random(in: 1...10, using: &generator))
                    var appends = chosen.map { chunk(["\"\(batch)\""], to: $0) }
                    for append in appends { expected[append.room, default: []].append("\"\(batch)\"") }
                    while !appends.isEmpty {
                        let outcomes: [AppendOutcome]
                        do {
                            outcomes = try await store.append(appends)
                        } catch StoreError.unavailable {
                            continue
                        }
                        var again: [Append] = []
                        for (append, outcome) in zip(appends, outcomes) {
                            switch outcome {
                            case .applied(let base): told[append.room, default: [:]][base + 1] = "\"\(batch)\""
                            case .appliedUnseen: unseen += 1
                            case .locked: again.append(append)
                            case .judged, .moved, .slow, .tooMuch, .gone, .invalid: Issue.record("\(outcome)")
                            }
                        }
                        appends = again
                    }
                }
                try await killer.value
                print("append, terminated backends: \(batch) batches")
                #expect(unseen == 0)
                for room in rooms {
                    let log = try await wholeLog(of: room, in: store)
                    #expect(log == expected[room] ?? [])
                    for (seq, message) in told[room] ?? [:] { #expect(log[Int(seq) - 1] == message) }
                }
            }
        }
    }
}
