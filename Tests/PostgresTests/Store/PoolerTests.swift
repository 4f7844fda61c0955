import NIOConcurrencyHelpers
import ParleyCore
import TestPostgres
import TestRoomStore
import Testing

@testable import ParleyPostgres

@Suite("Behind a pooler in transaction mode", .heavy)
struct PoolerTests {
    private final class Ear: ConnectionObserver {
        let echoes = NIOLockedValueBox(0)
        let deafs = NIOLockedValueBox(0)
        func echoed(milliseconds: Double) { echoes.withLockedValue { $0 += 1 } }
        func deaf() { deafs.withLockedValue { $0 += 1 } }
    }

    private func pooled(_ body: (ScratchDatabase, ScratchDatabase) async throws -> Void) async throws {
        try await ScratchDatabase.use { database in
            let pooler = try await TestPooler(before: database.url)
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(database, ScratchDatabase(url: pooler.url(of: database.url))))
            } catch {
                result = .failure(error)
            }
            pooler.stop()
            try result.get()
        }
    }

    @Test("rooms keep to what every store keeps to, and a lock of somebody else delays only its room")
    func behaviour() async throws {
        try await pooled { direct, pooled in
            try await pooled.withStore { store in
                for behaviour in RoomStoreBehaviour.all {
                    do { try await behaviour.hold { store } } catch { Issue.record("\(behaviour.name): \(error)") }
                }
                let rooms = try await store.makeRooms(2, prefix: "locked")
                try await direct.holding("SELECT 1 FROM parley.room WHERE room_id = 'locked1' FOR UPDATE") {
                    let outcomes = try await store.append([chunk(["1"], to: rooms[0]), chunk(["1"], to: rooms[1])])
                    #expect(outcomes == [.locked, .applied(base: 0)], "lock_timeout is set for each transaction")
                }
            }
        }
    }

    @Test("rules judge behind a pooler, and what they change of a backend's settings nobody else finds there")
    func rules() async throws {
        try await pooled { direct, pooled in
            try await direct.makeRule(
                "careless",
                "PERFORM set_config('statement_timeout', '1ms', false), set_config('search_path', 'nowhere', false);"
                    + "IF text = 'no' THEN RETURN parley.refuse('no'); END IF; RETURN NULL;")
            try await pooled.withStore(adjust: patient) { store in
                let judged = try await store.makeRoom("ruled", rule: "careless")
                let plain = try await store.makeRoom("plain")
                for n in 0..<5 {
                    let inputs = [#""yes""#, #""no""#]
                    let outcomes = try await store.append([
                        ruled(inputs, in: judged, from: Int64(2 * n + 1)), chunk(["\(n)"], to: plain),
                    ])
                    #expect(outcomes.map(\.letters) == ["ax", ""] && outcomes[1] == .applied(base: Seq(n)))
                    let shown = try await store.reader.execute(
                        Statement(name: "show", sql: "SELECT current_setting('statement_timeout')"), [])
                    #expect(shown.map { $0.text(0) } == ["0"])
                }
                #expect(try await direct.log(of: "ruled").isGapless)
            }
        }
    }

    @Test("long jobs that come at once each run whole, on one backend")
    func atOnce() async throws {
        let length = Statement(name: "length", sql: "SELECT length($1::text)")
        let lengths = (0..<300).map { 3_000 + 37 * $0 }
        try await pooled { _, pooled in
            try await withConnection(url: pooled.url) { connection in
                try await withThrowingTaskGroup { group in
                    for count in lengths {
                        group.addTask {
                            let text = String(repeating: "x", count: count)
                            let row = try await connection.execute(length, [.text(text)])[0]
                            #expect(row.int4(0) == Int32(count))
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
    }

    @Test("hints arrive by a way of their own; LISTEN by the pooler is found out to be deaf")
    func listening() async throws {
        try await pooled { direct, pooled in
            try await direct.withStore("n1") { other in
                let room = try await other.makeRoom()
                try await pooled.withStore("n2", adjust: { $0.listenURL = direct.url }) { own in
                    let seen = NIOLockedValueBox<Seq>(0)
                    let listens = NIOLockedValueBox(false)
                    let ear = Ear()
                    let task = Task {
                        await NotifyFeed(store: own, observer: ear) { [room] }.run { event in
                            if event == .resync { listens.withLockedValue { $0 = true } }
                            guard case .pointers(let pointers) = event else { return }
                            seen.withLockedValue { $0 = max($0, pointers.map(\.lastSeq).max() ?? 0) }
                        }
                    }
                    try await waitUntil { listens.withLockedValue { $0 } }
                    try await other.add(["1"], to: room)
                    try await waitUntil { seen.withLockedValue { $0 } == 1 }
                    try await waitUntil { ear.echoes.withLockedValue { $0 } > 0 }
                    task.cancel()
                    await task.value
                    #expect(ear.deafs.withLockedValue { $0 } == 0)
                }
                try await pooled.withStore("n3") { own in
                    let ear = Ear()
                    let resyncs = NIOLockedValueBox(0)
                    let task = Task {
                        await NotifyFeed(store: own, observer: ear) { [room] }.run { event in
                            if event == .resync { resyncs.withLockedValue { $0 += 1 } }
                        }
                    }
                    try await waitUntil { ear.deafs.withLockedValue { $0 } > 0 }
                    let before = resyncs.withLockedValue { $0 }
                    try await other.add(["2"], to: room)
                    try await waitUntil { resyncs.withLockedValue { $0 } > before }
                    task.cancel()
                    await task.value
                }
            }
        }
    }
}
