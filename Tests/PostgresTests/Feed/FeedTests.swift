import NIOConcurrencyHelpers
import ParleyCore
import TestPostgres
import TestRoomStore
import Testing

@testable import ParleyPostgres

@Suite("Feeds", .heavy)
struct FeedTests {
    /// What a feed has said so far.
    private final class Heard: Sendable {
        private struct State {
            var seqs: [RoomNumber: Seq] = [:]
            var takeUps: [SessionTakeUp] = []
            var ended: [EndedMembership] = []
            var signals: [RoomSignals] = []
            var resyncs = 0
        }

        private let state = NIOLockedValueBox(State())

        func take(_ event: FeedEvent) {
            state.withLockedValue { state in
                switch event {
                case .pointers(let pointers):
                    for pointer in pointers {
                        state.seqs[pointer.room] = max(state.seqs[pointer.room] ?? 0, pointer.lastSeq)
                    }
                case .signals(let signals): state.signals.append(signals)
                case .takenUp(let takeUps): state.takeUps += takeUps
                case .ended(let memberships): state.ended += memberships
                case .resync: state.resyncs += 1
                }
            }
        }

        func seq(of room: RoomNumber) -> Seq? { state.withLockedValue { $0.seqs[room] } }
        var takeUps: [SessionTakeUp] { state.withLockedValue(\.takeUps) }
        var ended: [EndedMembership] { state.withLockedValue(\.ended) }
        var signals: [RoomSignals] { state.withLockedValue(\.signals) }
        var resyncs: Int { state.withLockedValue(\.resyncs) }
    }

    private func hearing<Value>(
        _ feed: any ChangeFeed, _ body: (Heard) async throws -> Value
    ) async throws -> Value {
        let heard = Heard()
        let task = Task { await feed.run { heard.take($0) } }
        let result: Result<Value, any Error>
        do { result = .success(try await body(heard)) } catch { result = .failure(error) }
        task.cancel()
        await task.value
        return try result.get()
    }

    @Test("what another node writes is heard; what this one writes is not")
    func others() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore("n1") { own in
                try await database.withStore("n2") { other in
                    let rooms = try await own.makeRooms(2)
                    try await hearing(NotifyFeed(store: own) { rooms }) { heard in
                        try await waitUntil { heard.resyncs == 1 }
                        try await own.add(["1"], to: rooms[0])
                        try await other.add(["1", "2"], to: rooms[1])
                        try await waitUntil { heard.seq(of: rooms[1]) == 2 }
                        // It was said before, on the same channel.
                        #expect(heard.seq(of: rooms[0]) == nil)
                    }
                }
            }
        }
    }

    @Test("sessions that another node takes up are heard, many of them in a few batches")
    func takeUps() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore("n1") { own in
                try await database.withStore("n2") { other in
                    try await hearing(NotifyFeed(store: own) { [] }) { heard in
                        try await waitUntil { heard.resyncs == 1 }
                        _ = try await own.takeUp(identity("own"))
                        let names = (1...2_000).map { "client-\($0)" }
                        let numbers = try await withThrowingTaskGroup(of: Int64.self) { group in
                            for name in names {
                                group.addTask { try await other.takeUp(identity(name)).number }
                            }
                            return try await group.reduce(into: []) { $0.append($1) }
                        }
                        try await waitUntil { heard.takeUps.count == names.count }
                        #expect(Set(heard.takeUps.map(\.clientID.text)) == Set(names))
                        #expect(Set(heard.takeUps.map(\.number)) == Set(numbers))
                        let batches = try await database.query("SELECT sum(last_batch)::int8 FROM parley.writer")
                        #expect(try unwrap(batches.first).int8(0) < 20)
                    }
                }
            }
        }
    }

    @Test("what SQL publishes is heard with its commit, from the transaction itself; what is rolled back is not")
    func published() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { own in
                let rooms = try await own.makeRooms(2)
                _ = try await own.enroll(join("r1", "ann"))
                try await hearing(NotifyFeed(store: own) { rooms }) { heard in
                    try await waitUntil { heard.resyncs == 1 }
                    try await database.run("BEGIN; SELECT parley.publish('r2', '1'); ROLLBACK")
                    try await database.query("SELECT parley.publish('r1', '1')")
                    try await waitUntil { heard.seq(of: rooms[0]) == 1 }
                    #expect(heard.seq(of: rooms[1]) == nil)

                    try await database.query("SELECT parley.remove_member('r1', 'ann'), parley.close_room('r2')")
                    try await waitUntil { heard.ended.count == 2 }
                    #expect(
                        heard.ended == [
                            EndedMembership(room: rooms[0], claim: 1, clientID: identity("ann").clientID),
                            EndedMembership(room: rooms[1], claim: 1),
                        ])
                }
            }
        }
    }

    @Test("more rooms than one notification holds are heard of in several, also from SQL")
    func publishedLarge() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { own in
                try await database.run("SELECT parley.create_room('r' || n) FROM generate_series(1, 500) n")
                let rooms = try await database.query("SELECT room_no FROM parley.room").map { RoomNumber($0.int8(0)) }
                try await hearing(NotifyFeed(store: own) { rooms }) { heard in
                    try await waitUntil { heard.resyncs == 1 }
                    try await database.query(
                        """
                        SELECT count(*) FROM parley.publish_to_rooms(
                            ARRAY(SELECT room_id FROM parley.rooms), array_fill('1'::json, ARRAY[500]))
                        """)
                    try await waitUntil { rooms.allSatisfy { heard.seq(of: $0) == 1 } }
                }
            }
        }
    }

    @Test("signals of other nodes arrive with their content; a node's own do not come back to it")
    func signals() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore("n1") { own in
                try await database.withStore("n2") { other in
                    let room = try await own.makeRoom()
                    try await hearing(NotifyFeed(store: own) { [room] }) { heard in
                        try await waitUntil { heard.resyncs == 1 }
                        let signal = Signal(head: Array(#""clientId":"ann""#.utf8), payload: Array("{}".utf8))
                        own.send([RoomSignals(room: room, signals: [signal])])
                        let theirs = RoomSignals(room: room, signals: [signal, signal])
                        other.send([theirs])
                        try await waitUntil { !heard.signals.isEmpty }
                        #expect(heard.signals == [theirs])
                    }
                }
            }
        }
    }

    @Test("a listener whose backend is terminated listens again and says that hints may have been lost")
    func terminated() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore("n1") { own in
                try await database.withStore("n2") { other in
                    let room = try await own.makeRoom()
                    try await hearing(NotifyFeed(store: own) { [room] }) { heard in
                        try await waitUntil { heard.resyncs == 1 }
                        try await database.query(
                            """
                            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                            WHERE application_name = 'parley/listener' AND datname = current_database()
                            """)
                        try await waitUntil { heard.resyncs == 2 }
                        try await other.add(["1"], to: room)
                        try await waitUntil { heard.seq(of: room) == 1 }
                    }
                }
            }
        }
    }

    @Test("a batch that nobody announced is found by the heartbeat")
    func unannounced() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore("n1") { own in
                try await database.withStore("mute", adjust: { $0.announce = false }) { mute in
                    let room = try await own.makeRoom()
                    try await hearing(NotifyFeed(store: own) { [room] }) { heard in
                        try await waitUntil { heard.resyncs == 1 }
                        try await mute.add(["1"], to: room)
                        try await waitUntil { heard.resyncs == 2 }
                        #expect(heard.seq(of: room) == nil, "it was not told where")
                        _ = try await mute.takeUp(identity("ann"))
                        try await waitUntil { heard.resyncs == 3 }
                        #expect(heard.takeUps.isEmpty, "nor who it was")
                    }
                }
            }
        }
    }

    @Test("a batch of more rooms than one notification holds is announced in several")
    func large() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore("n1") { own in
                try await database.withStore("n2") { other in
                    try await database.run(
                        "INSERT INTO parley.room (room_id, tag) SELECT 'r' || n, 0 FROM generate_series(1, 1500) n")
                    let rooms = try await database.query("SELECT room_no FROM parley.room ORDER BY room_no").map {
                        RoomNumber($0.int8(0))
                    }
                    try await hearing(NotifyFeed(store: own) { rooms }) { heard in
                        try await waitUntil { heard.resyncs == 1 }
                        let outcomes = try await other.append(rooms.map { chunk(["1"], to: $0) })
                        #expect(outcomes == rooms.map { _ in .applied(base: 0) })
                        try await waitUntil { rooms.allSatisfy { heard.seq(of: $0) == 1 } }
                    }
                }
            }
        }
    }

    @Test("a feed that polls finds what others wrote")
    func poll() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore("n1") { own in
                try await database.withStore("n2", adjust: { $0.announce = false }) { other in
                    let room = try await own.makeRoom()
                    try await hearing(PollFeed(store: own, every: .milliseconds(50)) { [room] }) { heard in
                        try await other.add(["1"], to: room)
                        try await waitUntil { heard.seq(of: room) == 1 }
                        try await other.add(["2", "3"], to: room)
                        try await waitUntil { heard.seq(of: room) == 3 }
                    }
                }
            }
        }
    }
}
