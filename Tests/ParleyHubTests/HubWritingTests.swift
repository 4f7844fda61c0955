import NIOCore
import ParleyCore
import ParleyHub
import Testing

@Suite("A hub writes", .timeLimit(.minutes(1)))
struct HubWritingTests {
    @Test("what comes while a batch is under way goes into the next, all rooms together, each in its order")
    func grouping() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("tea", as: "bob", loop: 1)
            let cyd = try await hub.join("coffee", as: "cyd", loop: 1)
            hub.store.hold()
            try await ann.send("first", id: 1)
            let first = try #require(await hub.store.next())
            #expect(first.bodies.count == 1)

            try await ann.send((2...20).map { ("a\($0)", $0) })
            try await bob.send((1...20).map { ("b\($0)", $0) })
            try await cyd.send((1...20).map { ("c\($0)", $0) })
            #expect(hub.store.heldCount == 0, "one batch at a time")
            first.answer(.apply)
            let second = try #require(await hub.store.next())
            #expect(second.appends.map(\.count).sorted() == [20, 39], "one part for each room, with all that waited")
            second.answer(.apply)

            let tea = await ann.changes(40)
            #expect(await bob.changes(40) == tea)
            #expect(tea.first == "first")
            #expect(tea.filter { $0.hasPrefix("a") } == (2...20).map { "a\($0)" })
            #expect(tea.filter { $0.hasPrefix("b") } == (1...20).map { "b\($0)" })
            #expect(await cyd.changes(20) == (1...20).map { "c\($0)" })
            #expect(hub.store.batches.entries.count == 2)
            #expect(hub.hub.bytesWaitingToBeWritten == 0)
        }
    }

    @Test("a quiet room waits for nothing: one message, one batch")
    func quiet() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            for id in 1...5 as ClosedRange<Int64> {
                try await ann.send("\(id)", id: id)
                await ann.changes(Int(id))
            }
            #expect(hub.store.batches.entries.map { $0.map(\.count) } == Array(repeating: [1], count: 5))
        }
    }

    @Test("a batch that fails is answered with `unavailable` for each of its ids, and may be sent again")
    func failedBatch() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("coffee", as: "bob", loop: 1)
            hub.store.hold()
            try await ann.send("before", id: 1)
            let first = try #require(await hub.store.next())
            try await ann.send([("x", 2), ("y", 5)])
            try await bob.send("z", id: 7)
            first.answer(.apply)
            try #require(await hub.store.next()).answer(.fail(.unavailable(reason: "the test said so")))

            #expect(await ann.errors(2).map(\.code) == ["unavailable", "unavailable"])
            #expect(await ann.errors(2).map(\.id) == [2, 5])
            #expect(await bob.errors(1).map(\.id) == [7])
            #expect(try await ann.marks() == Marks(lastID: 1))

            hub.store.release()
            #expect(try await ann.send("too early", id: 6) != .submit, "nothing overtakes")
            #expect(try await ann.send("x", id: 2) == .submit)
            #expect(try await ann.send("y", id: 5) == .submit)
            #expect(try await bob.send("z", id: 7) == .submit)
            #expect(await ann.changes(3) == ["before", "x", "y"])
            #expect(await bob.changes(1) == ["z"])
        }
    }

    @Test("what a member sent behind a batch that fails is refused with it, so that nothing overtakes")
    func failedWithFollowers() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("tea", as: "bob", loop: 1)
            hub.store.hold()
            try await ann.send("first", id: 1)
            let held = try #require(await hub.store.next())
            try await ann.send([("second", 2), ("third", 3)])
            try await bob.send("other", id: 1)
            held.answer(.fail(.unavailable(reason: "the test said so")))
            #expect(await ann.errors(3).map(\.id) == [1, 2, 3])
            #expect(await ann.errors(3).map(\.code) == ["unavailable", "unavailable", "unavailable"])
            let next = try #require(await hub.store.next())
            #expect(next.bodies.count == 1 && !next.bodies[0].contains("second"), "\(next.bodies)")
            next.answer(.apply)
            hub.store.release()
            for (text, id) in [("first", 1), ("second", 2), ("third", 3)] as [(String, Int64)] {
                #expect(try await ann.send(text, id: id) == .submit)
            }
            #expect(await ann.changes(4) == ["other", "first", "second", "third"])
        }
    }

    @Test("a room that is held by another transaction is written apart, and the others do not wait for it")
    func locked() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("locked", as: "ann")
            let bob = try await hub.join("free", as: "bob", loop: 1)
            hub.store.hold()
            try await ann.send("a1", id: 1)
            try #require(await hub.store.next()).answer(.say([.locked]))
            let apart = try #require(await hub.store.next())
            #expect(apart.isApart)
            #expect(apart.appends.map(\.room) == [ann.room])

            for id in 1...3 as ClosedRange<Int64> {
                try await ann.send("a\(id + 1)", id: id + 1)
                try await bob.send("b\(id)", id: id)
                let batch = try #require(await hub.store.next())
                #expect(!batch.isApart)
                #expect(batch.appends.map(\.room) == [bob.room], "the locked room is not in it")
                batch.answer(.apply)
                await bob.changes(Int(id))
            }
            #expect(ann.updates.isEmpty)

            apart.answer(.say([.locked]))
            let again = try #require(await hub.store.next())
            #expect(again.isApart)
            #expect(again.appends.map(\.count) == [4], "what came since goes with it, in order")
            again.answer(.apply)
            #expect(await ann.changes(4) == ["a1", "a2", "a3", "a4"])

            try await ann.send("a5", id: 5)
            let together = try #require(await hub.store.next())
            #expect(!together.isApart, "free again")
            together.answer(.apply)
            await ann.changes(5)
        }
    }

    @Test("of several rooms that are held none is waited for, so that the first that is free again is written")
    func severalLocked() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("coffee", as: "bob", loop: 1)
            let cyd = try await hub.join("water", as: "cyd")
            hub.store.hold()
            try await ann.send("a", id: 1)
            let first = try #require(await hub.store.next())
            try await bob.send("b", id: 1)
            first.answer(.say([.locked]))
            // Ann's room, tried apart already, and Bob's, in a batch.
            let tried = [try #require(await hub.store.next()), try #require(await hub.store.next())]
            let apart = try #require(tried.first { $0.isApart })
            #expect(apart.waits && apart.appends.map(\.room) == [ann.room])
            try #require(tried.first { !$0.isApart }).answer(.say([.locked]))
            // Another batch begins when that one is concluded.
            try await cyd.send("c", id: 1)
            try #require(await hub.store.next()).answer(.apply)
            apart.answer(.say([.locked]))
            let one = try #require(await hub.store.next())
            #expect(one.isApart && !one.waits)
            one.answer(.say([.locked]))
            let other = try #require(await hub.store.next())
            #expect(other.isApart && !other.waits && other.appends[0].room != one.appends[0].room)
            other.answer(.apply)
            let alone = try #require(await hub.store.next())
            #expect(alone.isApart && alone.waits && alone.appends[0].room == one.appends[0].room)
            alone.answer(.apply)
            await ann.changes(1)
            await bob.changes(1)
        }
    }

    @Test(
        "a member that moved has its socket ended and nothing applied; the others' part goes again with the new claim")
    func moved() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("tea", as: "bob", loop: 1)
            hub.store.hold()
            try await ann.send("a", id: 1)
            let first = try #require(await hub.store.next())
            try await bob.send("theirs", id: 1)
            try await ann.send("b", id: 2)
            first.answer(.say([.moved(claim: 9, members: [bob.session.clientID])]))
            let again = try #require(await hub.store.next())
            #expect(again.appends.map(\.claim) == [9])
            #expect(again.appends.map(\.count) == [2])
            again.answer(.apply)
            #expect(await ann.changes(2) == ["a", "b"])
            try await bob.isTakenOver()
            try await ann.send("c", id: 3)
            let next = try #require(await hub.store.next())
            #expect(next.appends.map(\.claim) == [9], "told once, known from then on")
            next.answer(.apply)
        }
    }

    @Test("a page that a join has overtaken is not shown")
    func overtakenPage() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("tea", as: "bob", loop: 1)
            try await bob.isLive()
            try await bob.congest(true)
            for id in 1...3 as ClosedRange<Int64> {
                try await ann.send("\(id)", id: id)
                await ann.changes(Int(id))
            }
            // A page is asked for, and a join that has read all of it comes first.
            try await bob.congestionEndsAndJoinAnswers(3)
            try await ann.send("4", id: 4)
            await ann.changes(4)
            await bob.frames.wait { $0.contains { $0.messages.contains("4") } }
            try await bob.isLive()
            #expect(bob.updates.map(\.messages) == [["4"]])
        }
    }

    @Test("a room that is gone, or a change that cannot be stored, settles the ids")
    func refused() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            hub.store.hold()
            try await ann.send("a", id: 3)
            try #require(await hub.store.next()).answer(.say([.invalid(reason: "no")]))
            #expect(await ann.errors(1).map(\.code) == ["bad_request"])
            #expect(try await ann.marks() == Marks(lastID: 3, refused: [3]))
            try await ann.send("b", id: 4)
            try #require(await hub.store.next()).answer(.say([.gone]))
            #expect(await ann.errors(2).map(\.code) == ["bad_request", "room_not_found"])
            #expect(await ann.errors(2).map(\.id) == [3, 4])
        }
    }

    @Test("a batch that was applied at a place nobody knows is read from the log, and shown once")
    func appliedUnseen() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("tea", as: "bob", loop: 1)
            hub.store.hold()
            try await ann.send([("a", 1), ("b", 2)])
            let held = try #require(await hub.store.next())
            held.answer(.applyAndSay([.appliedUnseen]))
            let rest = held.appends[0].count == 2 ? 0 : 1
            for _ in 0..<rest { try #require(await hub.store.next()).answer(.applyAndSay([.appliedUnseen])) }
            #expect(await ann.changes(2) == ["a", "b"])
            #expect(await bob.changes(2) == ["a", "b"])
            #expect(try await ann.send("a", id: 1) == .duplicate)
        }
    }

    @Test("who waits too long is told `unavailable`; applied after all, the id is a duplicate when it comes again")
    func leftOpen() async throws {
        try await TestHub.with {
            $0.patience = .milliseconds(60)
        } _: { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("tea", as: "bob", loop: 1)
            hub.store.hold()
            try await ann.send("under way", id: 1)
            let held = try #require(await hub.store.next())
            try await bob.send("waits", id: 1)
            #expect(await ann.errors(1).map(\.code) == ["unavailable"])
            #expect(await bob.errors(1).map(\.code) == ["unavailable"])
            #expect(try await ann.send("under way", id: 1) != .submit, "its fate is open")
            held.answer(.apply)
            #expect(await ann.changes(1) == ["under way"])
            #expect(try await ann.send("under way", id: 1) == .duplicate)
            hub.store.release()
            // A slow machine may be too late again; a client would not give up either.
            for attempt in 1...20 where bob.updates.count < 2 {
                #expect(try await bob.send("waits", id: 1) == .submit)
                await bob.frames.wait { frames in
                    frames.contains { $0.messages == ["waits"] }
                        || frames.count { $0.content?.method == "error" } > attempt
                }
            }
            #expect(await bob.changes(2) == ["under way", "waits"])
        }
    }

    @Test("a room with too much waiting takes nothing more, others do, and it takes again when that was written")
    func overflow() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("coffee", as: "bob", loop: 1)
            hub.store.hold()
            let large = String(repeating: "x", count: WriterQueue.roomBytesMax / 4)
            try await ann.send(large, id: 1)
            let underWay = try #require(await hub.store.next())
            var verdict = Ledger.Verdict.submit
            for id in 2...5 as ClosedRange<Int64> { verdict = try await ann.send(large, id: id) }
            #expect(verdict != .submit, "the quotes of the last were too much")
            #expect(try await bob.send("small", id: 1) == .submit)
            underWay.answer(.say([.gone]))
            for _ in 2...4 {
                let held = try #require(await hub.store.next())
                held.answer(.say(Array(repeating: .gone, count: held.appends.count)))
            }
            #expect(await ann.errors(4).map(\.id) == [1, 2, 3, 4])
            #expect(await bob.errors(1).map(\.id) == [1])
            #expect(hub.hub.bytesWaitingToBeWritten == 0)
            #expect(try await ann.send("small", id: 5) == .submit)
            try #require(await hub.store.next()).answer(.apply)
            #expect(await ann.changes(1) == ["small"])
        }
    }

    @Test("who was evicted has nothing applied afterwards, and the eviction waits for what is under way")
    func evict() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("tea", as: "bob")
            hub.store.hold()
            try await ann.send("a1", id: 1)
            let held = try #require(await hub.store.next())
            try await ann.send("a2", id: 2)
            try await bob.send("b1", id: 1)
            let evicted = Journal<Bool>()
            let waiting = hub.hub.bytesWaitingToBeWritten
            let eviction = Task {
                await hub.hub.evict([(ann.subscriptionID, ann.room)])
                evicted.append(true)
            }
            // Another eviction that concerns nobody passes it by.
            await hub.hub.evict([(SubscriptionID(.max), ann.room)])
            // The eviction has begun when what waited is gone.
            while hub.hub.bytesWaitingToBeWritten >= waiting, !Task.isCancelled { await Task.yield() }
            #expect(evicted.entries.isEmpty)
            held.answer(.apply)
            await eviction.value
            let rest = try #require(await hub.store.next())
            #expect(rest.appends.map(\.count) == [1])
            rest.answer(.apply)
            #expect(await bob.changes(2) == ["a1", "b1"])
        }
    }
}
