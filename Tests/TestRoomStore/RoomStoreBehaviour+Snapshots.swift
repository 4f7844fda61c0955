import ParleyCore
import Testing

extension RoomStoreBehaviour {
    static let snapshots = [
        RoomStoreBehaviour("a snapshot of an empty room stands at 0, with the room's own tag") { store in
            let room = try await StoreRoom(store)
            var snapshot = try await room.snapshot(.recent(50))
            #expect(snapshot.values == RoomValues.none)
            #expect(snapshot.runs.isEmpty)
            #expect(snapshot.head.seq == 0)
            #expect(snapshot.end == snapshot.head)
            #expect(snapshot.continuity == .continues)
            // Who goes on from a place has the values.
            snapshot.values = nil
            let after = try await room.snapshot(.after(.position(snapshot.head)))
            #expect(after == snapshot)
            #expect(try await room.snapshot(.after(.seq(0))) == snapshot)
        },
        RoomStoreBehaviour("the newest so many are exactly so many, also within a chunk") { store in
            var room = try await StoreRoom(store)
            try await room.fill(chunks: 4, of: 3)
            for count in 0...14 {
                let snapshot = try await room.snapshot(.recent(count))
                room.expectGapless(snapshot.runs)
                #expect(snapshot.runs.reduce(0) { $0 + $1.count } == min(count, 12))
                #expect(snapshot.end == room.position(at: 12))
                #expect(snapshot.head == room.position(at: 12))
                #expect(snapshot.continuity == .continues)
                if count > 0 { #expect(snapshot.runs.last?.to == 12) }
            }
        },
        RoomStoreBehaviour("the newest are cut to the bytes that are asked for") { store in
            var room = try await StoreRoom(store)
            try await room.fill(chunks: 4, of: 3)
            for bytesMax in stride(from: 1, to: room.body(1, 12).count + 20, by: 17) {
                let snapshot = try await room.snapshot(.recent(12), bytesMax: bytesMax)
                room.expectGapless(snapshot.runs)
                let from = snapshot.runs.first?.from ?? 13
                #expect(room.body(from, 12).count <= bytesMax)
                if from > 1 { #expect(room.body(from - 1, 12).count + 2 > bytesMax, "one more would not fit") }
                #expect(snapshot.end == room.position(at: 12))
            }
        },
        RoomStoreBehaviour("after a place comes everything that followed it, also within a chunk") { store in
            var room = try await StoreRoom(store)
            let start = try await room.snapshot(.recent(0)).head
            try await room.fill(chunks: 4, of: 3)
            for seq in 0...12 as ClosedRange<Seq> {
                let position = seq == 0 ? start : room.position(at: seq)
                for point in [ResumePoint.seq(seq), .position(position)] {
                    let snapshot = try await room.snapshot(.after(point))
                    #expect(snapshot.continuity == .continues)
                    room.expectGapless(snapshot.runs)
                    #expect(snapshot.runs.first?.from == (seq < 12 ? seq + 1 : nil))
                    #expect(snapshot.end == room.position(at: 12))
                    #expect(snapshot.head == room.position(at: 12))
                }
            }
        },
        RoomStoreBehaviour("what follows a place is cut to the bytes that are asked for, and goes on from its end") {
            store in
            var room = try await StoreRoom(store)
            try await room.fill(chunks: 5, of: 4)
            var (point, seen, pages) = (ResumePoint.seq(3), Seq(3), 0)
            while seen < 20, pages < 20 {
                let snapshot = try await room.snapshot(.after(point), bytesMax: 400)
                #expect(snapshot.continuity == .continues)
                room.expectGapless(snapshot.runs)
                #expect(snapshot.runs.first?.from == seen + 1)
                let to = snapshot.runs.last?.to ?? seen
                #expect(room.body(seen + 1, to).count <= 400)
                if to < 20 { #expect(room.body(seen + 1, to + 1).count + 2 > 400, "one more would not fit") }
                #expect(snapshot.end == room.position(at: to))
                #expect(snapshot.head == room.position(at: 20))
                point = .position(snapshot.end)
                seen = to
                pages += 1
            }
            #expect(seen == 20)
            #expect(pages > 2)
        },
        RoomStoreBehaviour("a place of another timeline is told apart by its tag, or by lying beyond the newest") {
            store in
            var room = try await StoreRoom(store)
            let start = try await room.snapshot(.recent(0)).head
            try await room.fill(chunks: 20, of: 3)
            let foreign: [ResumePoint] = [
                .position(Position(seq: 0, tag: start.tag &+ 1)),
                .position(Position(seq: 2, tag: room.position(at: 2).tag &+ 1)),
                .position(Position(seq: 60, tag: room.position(at: 60).tag &+ 1)),
                .position(Position(seq: 61, tag: room.position(at: 60).tag)), .seq(61),
                .seq(Limits.requestIDMax), .seq(.max), .position(Position(seq: .max, tag: 0)),
            ]
            for point in foreign {
                let snapshot = try await room.snapshot(.after(point))
                #expect(snapshot.continuity == .diverged, "\(point)")
                room.expectGapless(snapshot.runs)
                #expect(snapshot.runs.first?.from == 11, "the newest 50")
                #expect(snapshot.end == room.position(at: 60))
            }
        },
        RoomStoreBehaviour("rooms of the same length have different histories") { store in
            let (first, second) = (try await StoreRoom(store), try await StoreRoom(store))
            let head = try await first.snapshot(.recent(0)).head
            #expect(try await first.snapshot(.after(.position(head))).continuity == .continues)
            #expect(try await second.snapshot(.after(.position(head))).continuity == .diverged)
        },
        RoomStoreBehaviour("who ask at the same time get what each of them would get alone") { store in
            var rooms: [StoreRoom] = []
            for count in 1...4 {
                var room = try await StoreRoom(store)
                try await room.fill(chunks: count * 3, of: count)
                rooms.append(room)
            }
            let nowhere = RoomNumber(rooms.map(\.number.value).max().map { $0 + 1_000 } ?? 0)
            var requests: [SnapshotRequest] = []
            for room in rooms {
                for count in [0, 1, 7, 50] {
                    requests.append(SnapshotRequest(room: room.number, want: .recent(count), bytesMax: 100_000))
                }
                for seq in 0...room.last {
                    requests.append(
                        SnapshotRequest(
                            room: room.number, want: .after(.seq(seq)), bytesMax: seq % 2 == 0 ? 300 : 90_000))
                }
                let other = Position(seq: room.last, tag: room.position(at: room.last).tag &+ 1)
                requests.append(
                    SnapshotRequest(room: room.number, want: .after(.position(other)), bytesMax: 100_000))
                requests.append(SnapshotRequest(room: nowhere, want: .recent(5), bytesMax: 100_000))
            }
            func answer(_ request: SnapshotRequest) async -> Result<Snapshot, StoreError> {
                do throws(StoreError) { return .success(try await store.snapshot(request)) } catch {
                    return .failure(error)
                }
            }
            var alone: [Result<Snapshot, StoreError>] = []
            for request in requests { alone.append(await answer(request)) }
            let together = await withTaskGroup(of: (Int, Result<Snapshot, StoreError>).self) { group in
                // Twice each, so that the same question is there more than once.
                for (index, request) in (requests + requests).enumerated() {
                    group.addTask { (index, await answer(request)) }
                }
                return await group.reduce(into: [Int: Result<Snapshot, StoreError>]()) { $0[$1.0] = $1.1 }
            }
            for index in 0..<requests.count * 2 {
                #expect(together[index] == alone[index % requests.count], "\(requests[index % requests.count])")
            }
            #expect(alone.contains(.failure(.roomNotFound)))
        },
    ]
}
