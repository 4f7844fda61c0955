import ParleyCore
import ParleyHub
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
        #expect(machine.takeNews().isEmpty)
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
        let news = machine.takeNews()
        #expect(news.joined.map(\.clientID.text) == ["ann"])
        #expect(news.left.map(\.text) == ["bob"])
        #expect(machine.takeNews().isEmpty)
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
        #expect(machine.takeNews().joined.map(\.clientID.text) == ["bob", "cyd"])
        #expect(machine.startRead() == nil)
    }

    @Test("an old read changes nothing")
    func old() throws {
        var machine = try machine("ann", "bob")
        machine.received(RosterRead(room: room, seq: 1, count: 1, changes: [try joined(1, "ann")]))
        #expect(machine.count == 2)
        #expect(!machine.hasNews)
    }

    @Test("pages are sorted and say whether more follow")
    func pages() throws {
        let machine = try machine("dan", "ann", "cyd", "bob")
        let first = machine.page(after: nil, limit: 2)
        #expect(first.members.map(\.clientID.text) == ["ann", "bob"])
        #expect(first.more)
        let second = machine.page(after: "bob", limit: 2)
        #expect(second.members.map(\.clientID.text) == ["cyd", "dan"])
        #expect(!second.more)
    }
}
