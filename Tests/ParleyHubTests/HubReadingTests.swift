import NIOCore
import ParleyCore
import ParleyHub
import Testing

@Suite("A hub reads", .timeLimit(.minutes(1)))
struct HubReadingTests {
    @Test("a hint that is wrong costs a read or two, not one after another for ever")
    func wrongHint() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            try await ann.isLive()
            hub.hub.received(.pointers([RoomPointer(room: ann.room, lastSeq: 99, rosterSeq: 99)]))
            await hub.store.logReads.wait { !$0.isEmpty }
            let reads = hub.store.logReads.entries.count
            // Each takes longer than the pause between two reads.
            for id in 1...20 as ClosedRange<Int64> {
                try await ann.send("\(id)", id: id)
                await ann.changes(Int(id))
            }
            #expect(hub.store.logReads.entries.count <= reads + 2)
        }
    }

    @Test("no more is read than can be said soon, and all of it in the end")
    func farBehind() async throws {
        let store = HeldStore()
        try await TestHub.with(store: store) { there in
            let bob = try await there.join("tea", as: "bob")
            let large = String(repeating: "x", count: 200_000)
            try await TestHub.with(store: store) {
                $0.tick = .milliseconds(300)
            } _: { here in
                let ann = try await here.join("tea", as: "ann")
                try await ann.isLive()
                let count: Int64 = 30
                for id in 1...count {
                    try await bob.send("\(id)\(large)", id: id)
                    await bob.changes(Int(id))
                }
                let before = store.logReads.entries.count
                here.hub.received(.pointers(try await store.heads(of: [ann.room])))
                await ann.frames.wait { $0.contains { !$0.messages.isEmpty } }
                // Read, but not said: never more than the bound and what one read brings.
                var most = 0
                while ann.updates.flatMap(\.messages).count < count, !Task.isCancelled {
                    let said = ann.updates.flatMap(\.messages).count
                    let read = store.logReads.entries.dropFirst(before).reduce(0, +) / large.count
                    most = max(most, read - said)
                    await Task.yield()
                }
                #expect(most * large.count <= PendingRuns.bytesMax + 2 * 1_048_576)
                #expect(await ann.changes(Int(count)).count == Int(count))
            }
        }
    }

    @Test("a join for which the roster cannot be read in time fails, and one after the trouble succeeds")
    func rosterUnreadable() async throws {
        let store = HeldStore()
        try await TestHub.with(store: store) { there in
            try await TestHub.with(store: store) {
                $0.patience = .milliseconds(50)
            } _: { here in
                let ann = try await here.join("tea", as: "ann")
                try await ann.isLive()
                _ = try await there.join("tea", as: "bob")
                store.failRosterReads(.max)
                let failure = await #expect(throws: StoreError.self) { try await here.join("tea", as: "cyd") }
                guard case .unavailable = failure else {
                    Issue.record("\(String(describing: failure))")
                    return
                }
                store.failRosterReads(0)
                let dan = try await here.join("tea", as: "dan")
                #expect(dan.count == 4)
            }
        }
    }

    @Test("a page for which the log cannot be read in time is asked for again until it can")
    func pageUnreadable() async throws {
        let store = HeldStore()
        try await TestHub.with(store: store) { there in
            try await TestHub.with(store: store) {
                $0.patience = .milliseconds(20)
            } _: { here in
                let ann = try await here.join("tea", as: "ann")
                try await ann.isLive()
                let bob = try await there.join("tea", as: "bob")
                try await bob.send("1", id: 1)
                await bob.changes(1)
                store.failLogReads(.max)
                let cyd = try await here.join("tea", as: "cyd")
                #expect(cyd.start == 1, "the snapshot is ahead of the home")
                try await bob.send("2", id: 2)
                await bob.changes(2)
                await store.failed.wait { $0.count >= 20 }
                store.failLogReads(0)
                #expect(await cyd.changes(1) == ["2"])
                #expect(await ann.changes(2) == ["1", "2"])
            }
        }
    }
}
