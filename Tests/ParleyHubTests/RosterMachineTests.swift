import ParleyCore
import ParleyHub
import TestRandom
import Testing

@Suite("Roster machine")
struct RosterMachineTests {
    private let room = RoomNumber(1)

    private func member(_ id: String, profile: String? = nil) throws -> Member {
        Member(clientID: try #require(ClientID(id)), profile: profile.map { Array($0.utf8) })
    }

    private func joined(_ seq: Int64, _ id: String, profile: String? = nil) throws -> RosterChange {
        RosterChange(seq: seq, kind: .joined, member: try member(id, profile: profile))
    }

    private func left(_ seq: Int64, _ id: String) throws -> RosterChange {
        RosterChange(seq: seq, kind: .left, member: try member(id))
    }

    private func machine(_ ids: String...) throws -> RosterMachine {
        let changes = try ids.enumerated().map { try joined(Int64($0.offset + 1), $0.element) }
        return RosterMachine(RosterRead(room: room, seq: Int64(ids.count), count: ids.count, changes: changes))
    }

    @Test("what it begins with is no news")
    func start() throws {
        var machine = try machine("ann", "bob")
        #expect(machine.takeNews(bytesMax: 10_000).isEmpty)
        #expect(machine.roster(atMost: 10)?.map(\.clientID.text) == ["ann", "bob"])
        #expect(machine.roster(atMost: 1) == nil)
    }

    @Test("a join and a leave within a tick cancel to the last word")
    func coalesced() throws {
        var machine = try machine("ann")
        machine.received(try joined(2, "bob"), count: 2)
        machine.received(try left(3, "bob"), count: 1)
        machine.received(try left(4, "ann"), count: 0)
        machine.received(try joined(5, "ann"), count: 1)
        let news = machine.takeNews(bytesMax: 10_000)
        #expect(news.joined.map(\.clientID.text) == ["ann"])
        #expect(news.left.map(\.text) == ["bob"])
        #expect(machine.takeNews(bytesMax: 10_000).isEmpty)
    }

    @Test("a step beyond a gap waits for a read of the roster")
    func gap() throws {
        var machine = try machine("ann")
        machine.received(try joined(3, "cyd"), count: 3)
        #expect(machine.count == 1)
        #expect(machine.startRead() == 1)
        #expect(machine.startRead() == nil)
        machine.received(
            RosterRead(room: room, seq: 3, count: 3, changes: [try joined(2, "bob"), try joined(3, "cyd")]))
        #expect(machine.count == 3)
        #expect(machine.takeNews(bytesMax: 10_000).joined.map(\.clientID.text) == ["bob", "cyd"])
        #expect(machine.startRead() == nil)
    }

    @Test("an old read changes nothing")
    func old() throws {
        var machine = try machine("ann", "bob")
        machine.received(RosterRead(room: room, seq: 1, count: 1, changes: [try joined(1, "ann")]))
        #expect(machine.count == 2)
        #expect(!machine.hasNews)
    }

    @Test("news are cut by bytes, one at least; what does not fit is told next, once")
    func cut() throws {
        var machine = try machine("ann")
        let names = (0..<10).map { "m\($0)" }
        for (index, name) in names.enumerated() {
            machine.received(try joined(Int64(index) + 2, name, profile: "\"0123456789\""), count: index + 2)
        }
        machine.received(try left(12, "m7"), count: 10)
        var (told, place): ([[String]], Int64) = ([], 1)
        while machine.hasNews {
            let news = machine.takeNews(bytesMax: 200)
            #expect(news.from == place)
            place = news.to
            told.append(news.joined.map(\.clientID.text) + news.left.map { "-\($0)" })
            #expect(news.joined.reduce(0) { $0 + 78 + ($1.profile?.count ?? 0) } <= 200)
        }
        #expect(told == [["m0", "m1"], ["m2", "m3"], ["m4", "m5"], ["m6", "m8"], ["m9", "-m7"]])
        #expect(place == 12)
        machine.received(try joined(13, "dan", profile: "\"0123456789\""), count: 11)
        #expect(machine.takeNews(bytesMax: 1).joined.count == 1)
    }

    @Test("whoever knows the roster up to a place is told what was told since, page by page")
    func since() throws {
        var machine = try machine("ann", "bob")
        machine.received(try left(3, "ann"), count: 1)
        machine.received(try joined(4, "cyd"), count: 2)
        machine.received(try joined(5, "dan"), count: 3)
        machine.received(try left(6, "cyd"), count: 2)
        #expect(machine.news(after: 2, bytesMax: 10_000).isEmpty, "nobody was told yet")
        _ = machine.takeNews(bytesMax: 10_000)
        machine.received(try joined(7, "eve"), count: 3)
        let all = machine.news(after: 2, bytesMax: 10_000)
        #expect(all.joined.map(\.clientID.text) == ["dan"])
        #expect(all.left.map(\.text) == ["ann", "cyd"])
        #expect((all.to, all.hasMore, all.isPatchy) == (6, false, false))
        let first = machine.news(after: 2, bytesMax: 1)
        #expect(first.left.map(\.text) == ["ann"])
        #expect((first.to, first.hasMore) == (4, true))
        #expect(machine.news(after: first.to, bytesMax: 1).joined.map(\.clientID.text) == ["dan"])
        #expect(machine.news(after: 6, bytesMax: 1).isEmpty)
    }

    @Test("of what is too long ago those who came are known, and that others may have left")
    func longAgo() throws {
        var machine = try machine("ann", "bob")
        machine.received(try left(3, "ann"), count: 1)
        machine.received(try joined(4, "cyd"), count: 2)
        for step in 1...Int64(RosterMachine.recentMax) {
            machine.received(try joined(4 + step, "dan", profile: "\(step)"), count: 3)
            _ = machine.takeNews(bytesMax: 10_000)
        }
        let news = machine.news(after: 2, bytesMax: 10_000)
        #expect(news.joined.map(\.clientID.text) == ["cyd", "dan"])
        #expect(news.left.isEmpty)
        #expect(news.isPatchy && !news.hasMore && news.to == machine.seq)
        #expect(machine.news(after: 4, bytesMax: 10_000).isPatchy == false)
    }

    /// Clients that are told of steps in any portions, and one that is told in each tick, end with the same roster.
    @Test("whoever is told all news, in whatever portions, knows the roster", arguments: 0..<200 as Range<UInt64>)
    func portions(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var machine = try machine("m0", "m1")
        var present: Set = ["m0", "m1"]
        var (prompt, late) = (present, present)
        var latePlace = machine.seq
        func apply(_ news: RosterMachine.News, to roster: inout Set<String>) {
            roster.formUnion(news.joined.map(\.clientID.text))
            roster.subtract(news.left.map(\.text))
        }
        for step in 3...100 as ClosedRange<Int64> {
            let id = "m\(Int.random(in: 0..<8, using: &random))"
            let leaves = present.contains(id) && Bool.random(using: &random)
            if leaves { present.remove(id) } else { present.insert(id) }
            machine.received(
                leaves ? try left(step, id) : try joined(step, id, profile: "\(step)"), count: present.count)
            if Bool.random(using: &random) {
                apply(machine.takeNews(bytesMax: Int.random(in: 1...300, using: &random)), to: &prompt)
            }
            if Int.random(in: 0..<5, using: &random) == 0 {
                let news = machine.news(after: latePlace, bytesMax: Int.random(in: 1...300, using: &random))
                apply(news, to: &late)
                latePlace = news.to
            }
        }
        while machine.hasNews { apply(machine.takeNews(bytesMax: 1), to: &prompt) }
        while latePlace < machine.told {
            let news = machine.news(after: latePlace, bytesMax: 1)
            apply(news, to: &late)
            latePlace = news.to
        }
        #expect(prompt == present, "seed \(seed)")
        #expect(late == present, "seed \(seed)")
        #expect(Set(machine.roster(atMost: 100)?.map(\.clientID.text) ?? []) == present, "seed \(seed)")
    }

    @Test("a roster that was announced and is not there is not read again and again")
    func wrongHint() throws {
        var machine = try machine("ann")
        machine.announced(9)
        #expect(machine.startRead() == 1)
        machine.received(RosterRead(room: room, seq: 1, count: 1, changes: []))
        #expect(machine.startRead() == nil)
        machine.announced(9)
        #expect(machine.startRead() == 1)
        machine.readFoundNothing()
        #expect(machine.startRead() == nil)
    }

    @Test("pages are sorted and say whether more follow")
    func pages() throws {
        var machine = try machine("dan", "ann", "cyd", "bob")
        let first = machine.page(after: nil, limit: 2)
        #expect(first.members.map(\.clientID.text) == ["ann", "bob"])
        #expect(first.more)
        let second = machine.page(after: "bob", limit: 2)
        #expect(second.members.map(\.clientID.text) == ["cyd", "dan"])
        #expect(!second.more)
        let behind = machine.page(after: "zoe", limit: 2)
        #expect(behind.members.isEmpty && !behind.more)
        let between = machine.page(after: "ann0", limit: 1)
        #expect(between.members.map(\.clientID.text) == ["bob"])
    }

    @Test("a page shows who has come and gone since the one before, and what members say of themselves now")
    func pagesOfChangingRoster() throws {
        var machine = try machine("ann", "cyd")
        _ = machine.page(after: nil, limit: 9)
        let ids = { (page: (members: [Member], more: Bool)) in page.members.map(\.clientID.text) }
        machine.received(try joined(3, "bob"), count: 3)
        #expect(ids(machine.page(after: nil, limit: 9)) == ["ann", "bob", "cyd"])
        machine.received(try left(4, "ann"), count: 2)
        machine.received(try joined(5, "bob", profile: "1"), count: 2)
        #expect(machine.page(after: nil, limit: 9).members == [try member("bob", profile: "1"), try member("cyd")])
    }
}
