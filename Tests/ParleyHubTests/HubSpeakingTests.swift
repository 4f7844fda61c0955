import NIOConcurrencyHelpers
import NIOCore
import ParleyCore
import ParleyHub
import Testing

@Suite("A hub speaks", .timeLimit(.minutes(1)))
struct HubSpeakingTests {
    @Test("an update is framed once, and all members get the same bytes, on every loop")
    func shared() async throws {
        let framings = NIOLockedValueBox(0)
        try await TestHub.with {
            $0.framed = { buffer in
                framings.withLockedValue { $0 += 1 }
                return buffer
            }
        } _: { hub in
            var members: [TestMember] = []
            for index in 0..<6 { members.append(try await hub.join("tea", as: "m\(index)", loop: index % 2)) }
            // What was said of who came is not counted; the last to come is not told of itself.
            for member in members.dropLast() { await member.frames.wait { $0.contains { $0.content?.count == 6 } } }
            for member in members { try await member.isLive() }
            let before = framings.withLockedValue { $0 }
            try await members[0].send("hello", id: 1)
            for member in members { #expect(await member.changes(1) == ["hello"]) }
            #expect(framings.withLockedValue { $0 } == before + 1)
            let updates = members.flatMap(\.updates)
            #expect(updates.count == 6)
            #expect(updates.allSatisfy { $0.isShared })
            #expect(Set(updates.map(\.address)).count == 1)
        }
    }

    @Test("the first change of a quiet room goes out at once, and what follows within a tick in one update")
    func onePerTick() async throws {
        let tick = TimeAmount.milliseconds(400)
        try await TestHub.with {
            $0.tick = tick
        } _: { hub in
            let ann = try await hub.join("tea", as: "ann")
            let start = NIODeadline.now()
            try await ann.send("1", id: 1)
            await ann.changes(1)
            for id in 2...10 as ClosedRange<Int64> {
                try await ann.send("\(id)", id: id)
                await hub.store.batches.wait { $0.flatMap(\.self).reduce(0) { $0 + $1.count } >= Int(id) }
            }
            #expect(await ann.changes(10) == (1...10).map(String.init))
            // Two, unless the machine was so slow that more ticks passed.
            let ticks = (NIODeadline.now() - start).nanoseconds / tick.nanoseconds
            #expect(ann.updates.count <= 2 + Int(ticks))
            #expect(hub.store.batches.entries.count > 2, "it was not the writer that put them together")
        }
    }

    @Test("whoever joins while others write sees every change from its snapshot on, once and in order")
    func joinsWhileWriting() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let total: Int64 = 150
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for id in 1...total {
                        try await ann.send("\(id)", id: id)
                        if id.isMultiple(of: 5) { await ann.changes(Int(id) - 4) }
                    }
                }
                for index in 0..<12 {
                    group.addTask {
                        await ann.changes(index * 12)
                        let member = try await hub.join("tea", as: "j\(index)", loop: index % 2)
                        let changes = await member.changes(Int(total - member.start))
                        #expect(changes == (member.start + 1..<total + 1).map(String.init))
                    }
                }
                try await group.waitForAll()
            }
            #expect(await ann.changes(Int(total)) == (1...total).map(String.init))
        }
    }

    @Test("who comes back after a place gets what it missed, and then what is new")
    func resumes() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            for id in 1...10 as ClosedRange<Int64> { try await ann.send("\(id)", id: id) }
            await ann.changes(10)
            let bob = try await hub.join("tea", as: "bob", loop: 1, after: 4)
            #expect(bob.start == 10, "the snapshot has the rest")
            try await ann.send("11", id: 11)
            #expect(await bob.changes(1) == ["11"])
        }
    }

    @Test("a slow client gets nothing while it is slow, and then all of it in few updates")
    func slow() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("tea", as: "bob", loop: 1)
            try await bob.isLive()
            try await bob.congest(true)
            for id in 1...40 as ClosedRange<Int64> {
                try await ann.send("\(id)", id: id)
                if id.isMultiple(of: 4) { await ann.changes(Int(id)) }
            }
            await ann.changes(40)
            #expect(bob.updates.isEmpty)
            try await bob.congest(false)
            #expect(await bob.changes(40) == (1...40).map(String.init))
            #expect(bob.updates.count < 5)
            try await ann.send("41", id: 41)
            #expect(await bob.changes(41).last == "41", "live again")
        }
    }

    @Test("a slow client that fell further behind than the recent past is caught up from the log, page by page")
    func slowFromLog() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("tea", as: "bob", loop: 1)
            try await bob.isLive()
            try await bob.congest(true)
            let large = String(repeating: "x", count: 20_000)
            for id in 1...30 as ClosedRange<Int64> {
                try await ann.send("\(id)\(large)", id: id)
                await ann.changes(Int(id))
            }
            hub.store.failReads(2)
            try await bob.congest(false)
            let changes = await bob.changes(30)
            #expect(changes.map { $0.prefix { $0 != "x" } } == (1...30).map { Substring(String($0)) })
        }
    }

    @Test("what another node wrote is read as soon as it is announced, or after hints were lost")
    func otherNodes() async throws {
        let store = HeldStore()
        try await TestHub.with(store: store) { here in
            let ann = try await here.join("tea", as: "ann")
            try await TestHub.with(store: store) { there in
                let bob = try await there.join("tea", as: "bob")
                try await bob.send("1", id: 1)
                try await bob.send("2", id: 2)
                await bob.changes(2)
                #expect(ann.updates.isEmpty)
                let heads = try await store.heads(of: [ann.room])
                here.hub.received(.pointers(heads + [RoomPointer(room: RoomNumber(99), lastSeq: 5)]))
                #expect(await ann.changes(2) == ["1", "2"])
                let frames = await ann.frames.wait { $0.contains { $0.content?.joined != nil } }
                #expect(frames.compactMap { $0.content?.joined?.map(\.clientId) } == [["bob"]])

                try await bob.send("3", id: 3)
                await bob.changes(3)
                here.hub.received(.pointers(heads))
                here.hub.received(.resync)
                #expect(await ann.changes(3) == ["1", "2", "3"])
            }
        }
    }

    @Test("others hear of who comes and goes, and nobody hears only of itself")
    func presence() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("tea", as: "bob", loop: 1)
            await ann.frames.wait { $0.contains { $0.content?.joined?.contains { $0.clientId == "bob" } == true } }
            try await bob.unsubscribe()
            try await hub.hub.leave(Withdrawal(room: bob.room, session: bob.session.key))
            let frames = await ann.frames.wait { $0.contains { $0.content?.left != nil } }
            #expect(frames.compactMap { $0.content?.left } == [["bob"]])
            #expect(frames.last?.content?.count == 1)
            #expect(!frames.contains { $0.content?.joined?.map(\.clientId) == ["ann"] })
            #expect(!bob.frames.entries.contains { $0.content?.joined?.map(\.clientId) == ["bob"] })
        }
    }

    @Test("a room has a home as long as somebody is in it")
    func homes() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("tea", as: "bob", loop: 1)
            #expect(hub.hub.localRooms == [ann.room])
            try await ann.unsubscribe()
            try await bob.send("still here", id: 1)
            #expect(await bob.changes(1) == ["still here"])
            #expect(hub.hub.localRoomCount == 1)
            #expect(ann.updates.isEmpty)
            try await bob.unsubscribe()
            // The loops take it in; each answers after that.
            for loop in hub.loops { try await loop.submit {}.get() }
            for loop in hub.loops { try await loop.submit {}.get() }
            #expect(hub.hub.localRoomCount == 0)
        }
    }

    @Test("a join that fails for want of the store leaves nothing behind")
    func failedJoin() async throws {
        try await TestHub.with { hub in
            hub.store.failReads(1)
            await #expect(throws: StoreError.self) { try await hub.join("tea", as: "ann") }
            for loop in hub.loops { try await loop.submit {}.get() }
            #expect(hub.hub.localRoomCount == 0)
            let ann = try await hub.join("tea", as: "ann")
            try await ann.send("1", id: 1)
            #expect(await ann.changes(1) == ["1"])
        }
    }
}
