import ParleyCore
import Testing

extension RoomStoreBehaviour {
    static let log = [
        RoomStoreBehaviour("a room's changes are numbered 1, 2, 3 …, and read back as they were") { store in
            var room = try await StoreRoom(store)
            #expect(try await room.append(["{\"a\":[1, 2]}", "{\"é\":\"},{\"}"]) == 0)
            #expect(try await room.append(["{}"]) == 2)
            let read = try #require(try await store.readLog([LogCursor(room: room.number, after: 0)]).first)
            #expect(read.room == room.number)
            #expect(read.runs.map(\.from) == [1, 3])
            #expect(!read.more)
            room.expectGapless(read.runs)
            let heads = try await store.heads(of: [room.number])
            #expect(heads == [RoomPointer(room: room.number, lastSeq: 3, rosterSeq: 1)])
        },
        RoomStoreBehaviour("outcomes come in the order of the appends, each room by its own count") { store in
            let first = try await StoreRoom(store)
            var second = try await StoreRoom(store)
            try await second.append(["{}", "{}"])
            let body = Array("{},{}".utf8)
            let appends = [second, first].map {
                Append(room: $0.number, claim: $0.claim, count: 2, tag: 1, body: body)
            }
            #expect(try await store.append(appends) == [.applied(base: 2), .applied(base: 0)])
            #expect(try await store.append([]).isEmpty)
            let apart = Append(room: first.number, claim: first.claim, count: 2, tag: 1, body: body)
            #expect(try await store.appendApart(apart, waits: true) == .applied(base: 2))
        },
        RoomStoreBehaviour("a read begins at or before what follows the cursor, and a room without news is left out") {
            store in
            var room = try await StoreRoom(store)
            let silent = try await StoreRoom(store)
            try await room.fill(chunks: 4, of: 3)
            for after in 0...13 as ClosedRange<Seq> {
                let reads = try await store.readLog([
                    LogCursor(room: silent.number, after: 0), LogCursor(room: room.number, after: after),
                ])
                guard after < 12 else {
                    #expect(reads.isEmpty)
                    continue
                }
                #expect(reads.map(\.room) == [room.number])
                let runs = reads.first?.runs ?? []
                #expect(runs.first.map { $0.from <= after + 1 && $0.to > after } == true)
                #expect(runs.last?.to == 12)
                room.expectGapless(runs)
            }
        },
        RoomStoreBehaviour("a long log is read in pieces, each of which says whether more follows") { store in
            var room = try await StoreRoom(store)
            let large = StoreRoom.change(by: room.host, "\"" + String(repeating: "x", count: 100_000) + "\"")
            for _ in 0..<25 { try await room.append([large]) }
            var (after, reads) = (Seq(0), 0)
            while true {
                let read = try #require(try await store.readLog([LogCursor(room: room.number, after: after)]).first)
                #expect(read.runs.first.map { $0.from <= after + 1 } == true)
                room.expectGapless(read.runs)
                after = read.runs.last?.to ?? after
                reads += 1
                #expect(read.more == (after < 25))
                guard read.more, reads < 25 else { break }
            }
            #expect(after == 25)
            #expect(reads > 1, "2.5 MB are not read at once")
        },
        RoomStoreBehaviour("who reads beside the writer sees the log without a hole") { store in
            let room = try await StoreRoom(store)
            let (number, claim) = (room.number, room.claim)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for seq in 1...60 as ClosedRange<Seq> {
                        let append = Append(
                            room: number, claim: claim, count: 1, tag: 1, body: Array("{\"s\":\(seq)}".utf8))
                        let outcomes = try await store.append([append])
                        #expect(outcomes == [.applied(base: seq - 1)])
                    }
                }
                for _ in 0..<3 {
                    group.addTask {
                        var seen: Seq = 0
                        while seen < 60 {
                            for read in try await store.readLog([LogCursor(room: number, after: seen)]) {
                                for run in read.runs.compactMap({ $0.suffix(after: seen) }) {
                                    #expect(run.from == seen + 1)
                                    let expected = (run.from...run.to).map { "{\"s\":\($0)}" }.joined(separator: ",")
                                    #expect(run.body == Array(expected.utf8))
                                    seen = run.to
                                }
                            }
                            await Task.yield()
                        }
                    }
                }
                try await group.waitForAll()
            }
        },
    ]
}
