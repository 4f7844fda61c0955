import ParleyCore
import ParleyHub
import Testing

@Suite("Ledger")
struct LedgerTests {
    private func ledger(lastID: Int64 = 0, refused: [Int64] = []) -> Ledger {
        Ledger(marks: Marks(lastID: lastID, refused: refused), inFlightMax: 4)
    }

    private func code(_ verdict: Ledger.Verdict) -> RequestError.Code? {
        if case .refuse(let error) = verdict { return error.code }
        return nil
    }

    @Test("a new id is submitted, and a repeat of it after it was applied is a duplicate")
    func once() {
        var ledger = ledger()
        #expect(ledger.received(3) == .submit)
        #expect(ledger.applied(3) == false)
        #expect(ledger.received(3) == .duplicate)
        #expect(ledger.marks == Marks(lastID: 3))
    }

    @Test("a repeat in flight is acknowledged when the original is durable")
    func awaited() {
        var ledger = ledger()
        #expect(ledger.received(1) == .submit)
        #expect(ledger.received(1) == .awaited)
        #expect(ledger.applied(1) == true)
    }

    @Test("ids must rise when first sent")
    func rising() {
        var ledger = ledger(lastID: 5)
        #expect(ledger.received(9) == .submit)
        #expect(code(ledger.received(7)) == .badRequest)
        #expect(ledger.received(5) == .duplicate)
    }

    @Test("a refused id stays refused, and is told beside lastId")
    func refused() {
        var ledger = ledger()
        _ = ledger.received(1)
        #expect(ledger.refused(1) == false)
        #expect(code(ledger.received(1)) == .refusedBefore)
        #expect(ledger.marks == Marks(lastID: 1, refused: [1]))
        #expect(ledger.received(2) == .submit)
    }

    @Test("nothing overtakes an id that was answered with a temporary error")
    func deferred() {
        var ledger = ledger()
        _ = ledger.received(1)
        _ = ledger.received(2)
        #expect(ledger.returned(1) == false)
        #expect(code(ledger.received(3)) == .unavailable)
        #expect(ledger.returned(2) == false)
        #expect(code(ledger.received(2)) == .unavailable, "1 is to be sent first")
        #expect(ledger.received(1) == .submit)
        #expect(ledger.received(2) == .submit)
        #expect(code(ledger.received(4)) == .unavailable, "3 has joined them")
        #expect(ledger.received(3) == .submit)
        #expect(ledger.received(4) == .submit)
        #expect(ledger.received(5) != .submit, "four are in flight")
    }

    @Test("an id left open that was applied after all is acknowledged when it is sent again")
    func leftOpen() {
        var ledger = ledger()
        _ = ledger.received(1)
        #expect(ledger.leftOpen(1) == true)
        #expect(ledger.leftOpen(1) == false, "the client was told already")
        #expect(code(ledger.received(1)) == .unavailable, "its outcome is not known yet")
        #expect(ledger.applied(1) == false)
        #expect(ledger.leftOpen(1) == false, "it has come to its end")
        #expect(code(ledger.received(2)) == .unavailable)
        #expect(ledger.received(1) == .duplicate)
        #expect(ledger.received(2) == .submit)
    }

    @Test("an id left open that was not applied is submitted when it is sent again")
    func leftOpenNotApplied() {
        var ledger = ledger()
        _ = ledger.received(1)
        #expect(ledger.leftOpen(1) == true)
        #expect(ledger.returned(1) == true, "the client was told already")
        #expect(ledger.received(1) == .submit)
    }

    @Test("a join gives up what waits to be sent again")
    func rejoined() {
        var ledger = ledger()
        _ = ledger.received(1)
        _ = ledger.returned(1)
        ledger.rejoined()
        #expect(ledger.received(2) == .submit)
    }

    @Test("what is told as final never reaches an id whose fate is open")
    func marks() {
        var ledger = ledger()
        _ = ledger.received(1)
        _ = ledger.received(2)
        #expect(ledger.malformed(3) == true)
        #expect(ledger.marks == Marks(lastID: 0))
        _ = ledger.applied(1)
        _ = ledger.applied(2)
        #expect(ledger.marks == Marks(lastID: 3, refused: [3]))
    }

    @Test("a malformed frame does not settle an id that is in flight")
    func malformed() {
        var ledger = ledger()
        _ = ledger.received(1)
        #expect(ledger.malformed(1) == false)
        #expect(ledger.applied(1) == false)
        #expect(ledger.received(1) == .duplicate)
    }

    @Test("an id left open that a join gave up is not waited for when it comes back")
    func openAndGivenUp() {
        var ledger = ledger()
        _ = ledger.received(1)
        #expect(ledger.leftOpen(1) == true)
        ledger.rejoined()
        #expect(ledger.returned(1) == true)
        #expect(ledger.received(2) == .submit)
    }

    @Test("an id that came back is not taken for applied since a higher one was refused meanwhile")
    func returnedBelowRefused() {
        var ledger = ledger()
        for id: Int64 in 1...5 { _ = ledger.received(id) }
        #expect(ledger.malformed(9) == true)
        #expect(ledger.returned(1) == false)
        #expect(ledger.received(1) == .submit, "it was in flight when 9 was refused")
        for id: Int64 in 2...4 { _ = ledger.returned(id) }
        #expect(ledger.received(2) == .submit)
        #expect(ledger.received(3) == .submit)
        #expect(ledger.received(4) == .submit)
        #expect(code(ledger.received(5)) == .rateLimited)
        #expect(code(ledger.received(5)) == .rateLimited)
        _ = ledger.applied(1)
        #expect(ledger.received(5) == .submit, "it was turned away when 9 was refused")
    }

    @Test("more than the bound in flight is rate limited and remembered")
    func rateLimited() {
        var ledger = ledger()
        for id in 1...4 as ClosedRange<Int64> { #expect(ledger.received(id) == .submit) }
        #expect(code(ledger.received(5)) == .rateLimited)
        for id in 1...4 as ClosedRange<Int64> { _ = ledger.applied(id) }
        #expect(code(ledger.received(6)) == .rateLimited)
        #expect(ledger.received(5) == .submit)
    }

    @Test("sending on and on against temporary errors is a flood")
    func flood() {
        var ledger = ledger()
        _ = ledger.received(1)
        _ = ledger.returned(1)
        var verdict = Ledger.Verdict.submit
        for id in 2...Int64(Ledger.deferredMax + 1) { verdict = ledger.received(id) }
        #expect(verdict == .flood)
    }
}
