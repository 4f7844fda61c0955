import NIOCore
import ParleyCore
import ParleyHub
import Testing

/// Where several things go wrong at once.
@Suite("Hub in trouble", .timeLimit(.minutes(1)))
struct HubTroubleTests {
    @Test("who was evicted has nothing applied afterwards, also when the batch has to go again")
    func evictedAndPutBack() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("tea", as: "bob")
            hub.store.hold()
            try await ann.send("a1", id: 1)
            let held = try #require(await hub.store.next())
            try await ann.send("a2", id: 2)
            try await bob.send("b1", id: 1)
            let waiting = hub.hub.bytesWaitingToBeWritten
            let eviction = Task { await hub.hub.evict([(ann.subscriptionID, ann.room)]) }
            while hub.hub.bytesWaitingToBeWritten >= waiting, !Task.isCancelled { await Task.yield() }
            held.answer(.say([.moved(claim: 9, members: [])]))
            await eviction.value
            let rest = try #require(await hub.store.next())
            #expect(!(rest.bodies.first ?? "").contains("a1"), "told as not applied, and applied after all")
            rest.answer(.apply)
        }
    }

    @Test("who comes and goes while a client is slow is told to it afterwards, also when it is caught up from the log")
    func presenceWhileSlow() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("tea", as: "bob", loop: 1)
            try await bob.isLive()
            try await bob.congest(true)
            _ = try await hub.join("tea", as: "cyd")
            await ann.frames.wait { $0.contains { $0.content?.joined?.contains { $0.clientId == "cyd" } == true } }
            let large = String(repeating: "x", count: 20_000)
            for id in 1...10 as ClosedRange<Int64> {
                try await ann.send("\(id)\(large)", id: id)
                await ann.changes(Int(id))
            }
            try await bob.congest(false)
            await bob.changes(10)
            try await bob.isLive()
            #expect(bob.frames.entries.contains { $0.content?.joined?.contains { $0.clientId == "cyd" } == true })
        }
    }

    @Test("who left while a client was slow is told to it afterwards")
    func leaveWhileSlow() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("tea", as: "bob", loop: 1)
            let cyd = try await hub.join("tea", as: "cyd")
            await bob.frames.wait { $0.contains { $0.content?.joined?.contains { $0.clientId == "cyd" } == true } }
            try await bob.isLive()
            try await bob.congest(true)
            try await cyd.unsubscribe()
            try await hub.hub.leave(Withdrawal(room: cyd.room, session: cyd.session.key))
            await ann.frames.wait { $0.contains { $0.content?.left == ["cyd"] } }
            for loop in hub.loops { try await loop.submit {}.get() }
            try await bob.congest(false)
            try await bob.isLive()
            let last = bob.frames.entries.last { $0.content?.count != nil }
            #expect(last?.content?.count == 2, "what bob knows of the roster is right again")
        }
    }

    @Test("a temporary error is said once, also when the batch has to go again")
    func lateAndPutBack() async throws {
        try await TestHub.with {
            $0.patience = .milliseconds(40)
            // What is late leaves the queue unless it goes again at once.
            $0.rhythm = .zero
        } _: { hub in
            let ann = try await hub.join("tea", as: "ann")
            hub.store.hold()
            try await ann.send("a", id: 1)
            let first = try #require(await hub.store.next())
            _ = await ann.errors(1)
            first.answer(.say([.moved(claim: 3, members: [])]))
            let again = await Task { await hub.store.next() }.value
            try await hub.loops[0].scheduleTask(in: .milliseconds(150)) {}.futureResult.get()
            #expect(await ann.errors(1).count == 1)
            again?.answer(.apply)
        }
    }
}
