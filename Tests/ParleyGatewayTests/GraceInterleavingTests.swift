import NIOCore
import ParleyCore
import TestRandom
import Testing

@testable import ParleyGateway

/// Sockets are lost, come back and are left in any order, beside a model that knows what is owed.
@Suite("Grace under random interleavings")
struct GraceInterleavingTests {
    private struct Owed {
        /// Not given out before, and surely from `mustAt` on: a failure is followed by a pause that is left to chance.
        var mayAt: NIODeadline
        var mustAt: NIODeadline
        /// Given out.
        var debt: Grace.Debt?
    }

    private static let sessions = (0..<5).map { _ in SessionIdentity.fresh() }

    @Test(
        "whoever is away at the end of its time is given out until it is settled, once at a time, and nobody else is",
        arguments: 0..<200 as Range<UInt64>)
    func model(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var grace = Grace()
        var owed: [ClientID: Owed] = [:]
        var now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
        var stale: [Grace.Debt] = []
        for _ in 0..<300 {
            now = now + .milliseconds(.random(in: 0...400, using: &random))
            let session = try #require(Self.sessions.randomElement(using: &random))
            let client = session.clientID
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<3:
                let dueAt = now + .milliseconds(.random(in: 0...2_000, using: &random))
                if let debt = owed[client]?.debt { stale.append(debt) }
                grace.lost(session, socket: .random(in: 0...9, using: &random), at: now, dueAt: dueAt)
                owed[client] = Owed(mayAt: dueAt, mustAt: dueAt)
            case 3..<5:
                if let debt = owed[client]?.debt { stale.append(debt) }
                grace.takenUp(client)
                owed[client] = nil
            case 5..<7:
                let max = Int.random(in: 1...3, using: &random)
                let waiting = owed.filter { $1.debt == nil }
                let debts = grace.due(at: now, max: max)
                #expect(debts.count <= max)
                #expect(debts.count >= min(max, waiting.values.count { $0.mustAt <= now }))
                for debt in debts {
                    let mayAt = try #require(waiting[debt.session.clientID]?.mayAt)
                    #expect(mayAt <= now)
                    owed[debt.session.clientID]?.debt = debt
                }
            case 7:
                guard let debt = owed[client]?.debt else { break }
                #expect(grace.owes(debt))
                let isSettled = grace.settled(debt)
                #expect(isSettled)
                owed[client] = nil
            case 8:
                guard let debt = owed[client]?.debt else { break }
                grace.failed(debt, at: now, using: &random)
                owed[client] = Owed(mayAt: now, mustAt: now + TimeAmount(Grace.pauseMax))
            default:
                guard let debt = stale.randomElement(using: &random) else { break }
                #expect(!grace.owes(debt), "it is another one's by now")
                let isSettled = grace.settled(debt)
                #expect(!isSettled)
                grace.failed(debt, at: now, using: &random)
            }
            #expect(grace.count == owed.count)
        }
    }
}
