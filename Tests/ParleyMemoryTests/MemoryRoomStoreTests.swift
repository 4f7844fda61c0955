import ParleyCore
import ParleyMemory
import TestRoomStore
import Testing

@Suite("Rooms in memory")
struct MemoryRoomStoreTests {
    @Test("keeps to what every store keeps to", arguments: RoomStoreBehaviour.all)
    func behaviour(_ behaviour: RoomStoreBehaviour) async throws {
        try await behaviour.hold { MemoryRoomStore() }
    }

    @Test("a room with a rule is refused, for there is nothing that could judge")
    func rules() async throws {
        let store = MemoryRoomStore()
        let id = try #require(RoomID("tea"))
        let error = await #expect(throws: StoreError.self) {
            try await store.createRoom(RoomCreation(id: id, rule: "polite"))
        }
        guard case .invalid(let reason) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(reason.contains("rule"))
        #expect(try await store.createRoom(RoomCreation(id: id)).created, "it left nothing behind")
    }

    @Test("each store signs with a key of its own")
    func signingKeys() async throws {
        #expect(try await MemoryRoomStore().signingKeys() != MemoryRoomStore().signingKeys())
    }

    @Test("tells of the rooms that are asked for, and of no nodes")
    func overview() async throws {
        let store = MemoryRoomStore()
        var room = try await StoreRoom(store)
        try await room.append(["1", "2"])
        let seen = try await store.overview(of: [room.number, RoomNumber(99)])
        #expect(seen.rooms == [Overview.Room(id: room.id, lastSeq: 2, members: 1)])
        #expect(seen.nodes == [])
    }

    @Test("of many who append at once, each gets a place of its own, and the log has no hole")
    func concurrentAppends() async throws {
        let store = MemoryRoomStore()
        let room = try await StoreRoom(store)
        let bases = await withTaskGroup(of: [(base: Seq, text: String)].self) { group in
            for writer in 0..<8 {
                group.addTask {
                    var bases: [(base: Seq, text: String)] = []
                    for number in 0..<50 {
                        let text = "{\"w\":\(writer),\"n\":\(number)}"
                        let append = Append(
                            room: room.number, claim: room.claim, count: 1, tag: Tag(writer), body: Array(text.utf8))
                        guard case .applied(let base)? = try? await store.append([append]).first else { continue }
                        bases.append((base, text))
                    }
                    return bases
                }
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
        #expect(bases.map(\.base).sorted() == Array(0..<400))
        let page = try await room.history()
        let expected = bases.sorted { $0.base < $1.base }.map(\.text).joined(separator: ",")
        #expect(page.body == Array(expected.utf8))
        for writer in 0..<8 {
            let own = bases.filter { $0.text.hasPrefix("{\"w\":\(writer),") }
            #expect(own.map(\.base) == own.map(\.base).sorted(), "each writer's own order is kept")
        }
    }

    // MARK: - What is not kept for ever

    @Test("a room keeps as many messages as it was told to, by whole chunks, and says where it begins")
    func retainMessages() async throws {
        var room = try await StoreRoom(MemoryRoomStore(), retainMessages: 5)
        try await room.fill(chunks: 4, of: 3)
        let page = try await room.history()
        #expect(page.first == 7)
        #expect(page.from == 7)
        #expect(page.body == room.body(7, 12))
        #expect(!page.more)
        #expect(try await room.history(after: 0, limit: 2).body == room.body(7, 8))
        #expect(try await room.history(after: 2, before: 5).body.isEmpty)
        #expect(try await room.history(before: 7).body.isEmpty)
        #expect(try await room.snapshot(.recent(50)).runs.first?.from == 7)
        let read = try #require(try await room.store.readLog([LogCursor(room: room.number, after: 0)]).first)
        #expect(read.runs.first?.from == 7)
    }

    @Test("a place that is no longer kept is answered by a reset, unless its tag is of another timeline")
    func reset() async throws {
        var room = try await StoreRoom(MemoryRoomStore(), retainMessages: 5)
        let start = try await room.snapshot(.recent(0)).head
        try await room.fill(chunks: 4, of: 3)
        let expected: [(ResumePoint, Snapshot.Continuity)] = [
            (.seq(0), .reset), (.seq(5), .reset), (.seq(6), .continues), (.seq(7), .continues),
            (.position(start), .reset), (.position(Position(seq: 0, tag: start.tag &+ 1)), .diverged),
            (.position(room.position(at: 5)), .reset), (.position(room.position(at: 6)), .reset),
            (.position(room.position(at: 7)), .continues), (.seq(13), .diverged),
        ]
        for (point, continuity) in expected {
            let snapshot = try await room.snapshot(.after(point))
            #expect(snapshot.continuity == continuity, "\(point)")
            room.expectGapless(snapshot.runs)
            #expect(snapshot.end == room.position(at: 12))
            let from = continuity == .continues ? point.seq + 1 : 7
            #expect(snapshot.runs.first?.from == from, "\(point)")
        }
    }

    @Test("the newest chunk is always kept")
    func newestChunk() async throws {
        var room = try await StoreRoom(MemoryRoomStore(), retainMessages: 1)
        try await room.fill(chunks: 3, of: 4)
        #expect(try await room.history().body == room.body(9, 12))
    }

    @Test("a feed has nothing to say, and ends when it is cancelled")
    func feed() async {
        let task = Task { await MemoryFeed().run { _ in Issue.record("something was said") } }
        task.cancel()
        await task.value
    }
}
