import NIOCore
import ParleyCore
import Testing

@testable import ParleyGateway

@Suite("Grace, the machine")
struct GraceTests {
    private let ann = SessionIdentity.fresh()
    private let bob = SessionIdentity.fresh()
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private func lost(_ grace: inout Grace, _ session: SessionIdentity, socket: Int64? = 1, after: TimeAmount) {
        grace.lost(session, socket: socket, at: start, dueAt: start + after)
    }

    @Test("what is owed is due when its time has come, and given out once")
    func due() {
        var grace = Grace()
        lost(&grace, ann, after: .seconds(15))
        lost(&grace, bob, after: .zero)
        #expect(grace.due(at: start, max: 10).map(\.session) == [bob])
        #expect(grace.due(at: start + .seconds(14), max: 10).isEmpty)
        let debts = grace.due(at: start + .seconds(15), max: 10)
        #expect(debts.map(\.session) == [ann])
        #expect(debts.map(\.socket) == [1])
        #expect(debts.map(\.lostAt) == [start])
        #expect(grace.due(at: start + .hours(1), max: 10).isEmpty)
    }

    @Test(
        "of several sockets of a session that end without it coming back the newest counts, or any of the node's",
        arguments: [([1, 2], 2), ([2, 0], 2), ([nil, 2, 0], nil), ([2, nil], nil)] as [([Int64?], Int64?)])
    func endedBehindNewer(sockets: [Int64?], counts: Int64?) {
        var grace = Grace()
        for socket in sockets { lost(&grace, ann, socket: socket, after: .zero) }
        #expect(grace.due(at: start, max: 10).map(\.socket) == [counts])
    }

    @Test("no more is given out than was asked for")
    func bound() {
        var grace = Grace()
        for _ in 1...5 { lost(&grace, .fresh(), after: .zero) }
        #expect([2, 2, 2].map { grace.due(at: start, max: $0).count } == [2, 2, 1])
    }

    @Test("a session that is taken up owes nothing, also when somebody is at it")
    func takenUp() throws {
        var (grace, longest) = (Grace(), Longest())
        lost(&grace, ann, after: .zero)
        lost(&grace, bob, after: .zero)
        let debt = try #require(grace.due(at: start, max: 1).first)
        #expect(grace.owes(debt))
        grace.takenUp(ann.clientID)
        grace.takenUp(bob.clientID)
        #expect(!grace.owes(debt))
        grace.failed(debt, at: start, using: &longest)
        let isSettled = grace.settled(debt)
        #expect(!isSettled)
        #expect(grace.due(at: start + .hours(1), max: 10).isEmpty)
        #expect(grace.count == 0)
    }

    @Test("a socket that is lost while an older one's leaves are under way is another debt")
    func lostAgain() throws {
        var grace = Grace()
        lost(&grace, ann, socket: 1, after: .zero)
        let older = try #require(grace.due(at: start, max: 1).first)
        grace.takenUp(ann.clientID)
        lost(&grace, ann, socket: 2, after: .zero)
        let isSettled = grace.settled(older)
        #expect(!isSettled)
        let newer = try #require(grace.due(at: start, max: 1).first)
        #expect(newer.socket == 2)
        #expect(grace.owes(newer))
        let isNewerSettled = grace.settled(newer)
        #expect(isNewerSettled)
        #expect(grace.count == 0)
    }

    @Test("after a failure it is due again, later each time, and at last within 30 seconds")
    func backOff() throws {
        var (grace, longest) = (Grace(), Longest())
        lost(&grace, ann, after: .zero)
        var now = start
        for failures in 0..<10 as Range<Int64> {
            let debt = try #require(grace.due(at: now, max: 1).first)
            grace.failed(debt, at: now, using: &longest)
            let pause = min(TimeAmount.milliseconds(500 << failures), .seconds(30))
            #expect(grace.due(at: now + pause - .milliseconds(1), max: 1).isEmpty)
            now = now + pause
        }
        #expect(grace.due(at: now, max: 1).count == 1)
    }

    /// Makes each random part the whole.
    private struct Longest: RandomNumberGenerator {
        mutating func next() -> UInt64 { .max }
    }
}
