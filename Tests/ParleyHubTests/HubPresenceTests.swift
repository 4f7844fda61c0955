import NIOCore
import ParleyCore
import ParleyHub
import Testing

@Suite("A hub tells who is there", .timeLimit(.minutes(1)))
struct HubPresenceTests {
    /// Small rooms are told the whole roster, large ones only what changes.
    private static let rosters = [100, 0]

    @Test("who comes and goes between a join and its reply is told behind it", arguments: rosters)
    func duringJoin(rosterMax: Int) async throws {
        try await TestHub.with {
            $0.limits.roster = rosterMax
        } _: { hub in
            let ann = try await hub.join("tea", as: "ann", loop: 1)
            let bob = try await hub.join("tea", as: "bob")
            let cyd = try await hub.join("tea", as: "cyd", loop: 1) {
                _ = try await hub.join("tea", as: "dan")
                try await hub.leave(bob)
                await ann.frames.wait { $0.contains { $0.content?.left == ["bob"] } }
            }
            await cyd.frames.wait { $0.contains { $0.content?.left == ["bob"] } }
            #expect(cyd.joined == ["dan"])
            #expect(cyd.frames.entries.last?.content?.count == 3)
            #expect(cyd.frames.entries.last?.content?.clients?.count == (rosterMax == 0 ? nil : 3))
        }
    }

    @Test("who comes and goes while a member joins again is told behind the reply", arguments: rosters)
    func duringRepeat(rosterMax: Int) async throws {
        try await TestHub.with {
            $0.limits.roster = rosterMax
        } _: { hub in
            let ann = try await hub.join("tea", as: "ann", loop: 1)
            let bob = try await hub.join("tea", as: "bob")
            let cyd = try await hub.join("tea", as: "cyd", loop: 1)
            try await cyd.isLive()
            try await cyd.joinAgain(hub.hub) {
                _ = try await hub.join("tea", as: "dan")
                try await hub.leave(bob)
                await ann.frames.wait { $0.contains { $0.content?.left == ["bob"] } }
            }
            await cyd.frames.wait { $0.contains { $0.content?.left == ["bob"] } }
            #expect(cyd.joined.contains("dan"))
        }
    }

    @Test("two who join at the same time hear of each other", arguments: 0..<20)
    func together(round: Int) async throws {
        try await TestHub.with { hub in
            async let first = hub.join("tea", as: "ann")
            async let second = hub.join("tea", as: "bob", loop: 1)
            let (ann, bob) = try await (first, second)
            // Whoever was counted second is in the other's news; both may be.
            if ann.count < 2 { await ann.frames.wait { $0.contains { $0.content?.count == 2 } } }
            if bob.count < 2 { await bob.frames.wait { $0.contains { $0.content?.count == 2 } } }
        }
    }

    @Test("who left while a client was slow is told to it also in a room whose roster is not shown")
    func largeAndSlow() async throws {
        try await TestHub.with {
            $0.limits.roster = 0
        } _: { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("tea", as: "bob", loop: 1)
            let cyd = try await hub.join("tea", as: "cyd")
            await bob.frames.wait { $0.contains { $0.content?.count == 3 } }
            try await bob.isLive()
            try await bob.congest(true)
            _ = try await hub.join("tea", as: "dan")
            try await hub.leave(cyd)
            await ann.frames.wait { $0.contains { $0.content?.left == ["cyd"] } }
            for loop in hub.loops { try await loop.submit {}.get() }
            #expect(bob.left.isEmpty)
            try await bob.congest(false)
            await bob.frames.wait { $0.contains { $0.content?.left == ["cyd"] } }
            #expect(bob.joined.last == "dan")
        }
    }

    @Test("what was told before a page of members that is older is told again behind it")
    func behindMembers() async throws {
        try await TestHub.with { hub in
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("tea", as: "bob")
            await ann.frames.wait { $0.contains { $0.content?.count == 2 } }
            let page = try #require(await hub.hub.members(of: ann.room, after: nil, limit: 10))
            #expect(page.members.map(\.clientID.text) == ["ann", "bob"])
            try await hub.leave(bob)
            await ann.frames.wait { $0.contains { $0.content?.left == ["bob"] } }
            try await ann.toldMembers(at: page.rosterSeq)
            await ann.frames.wait { $0.count { $0.content?.left == ["bob"] } == 2 }
            try await ann.isLive()
            try await ann.toldMembers(at: page.rosterSeq + 1)
            #expect(ann.left == ["bob", "bob"])
            // Once more while a page is under way that was asked for before.
            try await ann.toldMembersBehindPage(at: page.rosterSeq)
            await ann.frames.wait { $0.count { $0.content?.left == ["bob"] } == 3 }
        }
    }

    @Test("who wants no presence is told neither who comes and goes nor the roster, also with a fresh copy")
    func noPresence() async throws {
        let store = HeldStore()
        try await TestHub.with(store: store) { hub in
            _ = try await hub.store.createRoom(
                RoomCreation(id: try #require(RoomID("tea")), ifMissing: true, retainMessages: 1))
            let ann = try await hub.join("tea", as: "ann")
            let bob = try await hub.join("tea", as: "bob", loop: 1, presence: false)
            try await bob.isLive()
            try await bob.congest(true)
            let large = String(repeating: "x", count: 30_000)
            for id in 1...6 as ClosedRange<Int64> {
                try await ann.send("\(id)\(large)", id: id)
                await ann.changes(Int(id))
            }
            let cyd = try await hub.join("tea", as: "cyd")
            try await hub.leave(cyd)
            await ann.frames.wait { $0.contains { $0.content?.left == ["cyd"] } }
            try await bob.congest(false)
            let frames = await bob.frames.wait { $0.contains { $0.content?.state?.reset == true } }
            try await bob.isLive()
            #expect(frames.contains { $0.content?.state?.reset == true })
            #expect(bob.joined.isEmpty && bob.left.isEmpty)
            #expect(bob.frames.entries.allSatisfy { $0.content?.clients == nil })
        }
    }

    @Test("however many come and go within a tick, and however long their profiles are: no frame is too large")
    func bounded() async throws {
        let bytesMax = 20_000
        try await TestHub.with {
            $0.limits.serverFrameBytes = bytesMax
            $0.limits.roster = 4
            $0.tick = .milliseconds(100)
        } _: { hub in
            let ann = try await hub.join("tea", as: "ann", loop: 1)
            let profile = "{\"name\":\"\(String(repeating: "x", count: 2_000))\"}"
            var members: [TestMember] = []
            for index in 0..<40 { members.append(try await hub.join("tea", as: "m\(index)", profile: profile)) }
            await ann.frames.wait { Set($0.flatMap { $0.content?.joined?.map(\.clientId) ?? [] }).count >= 40 }
            for member in members { try await hub.leave(member) }
            await ann.frames.wait { $0.reduce(0) { $0 + ($1.content?.left?.count ?? 0) } == 40 }
            #expect(ann.frames.entries.map(\.bytes).max() ?? 0 <= bytesMax)
            #expect(ann.frames.entries.last?.content?.count == 1)
            #expect(members.flatMap(\.frames.entries).map(\.bytes).max() ?? 0 <= bytesMax)
        }
    }
}
