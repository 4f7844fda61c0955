import NIOCore
import ParleyHub
import Testing

@Suite("Tick pacer")
struct TickPacerTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    @Test("the first word of a quiet room goes out at once, the next after the tick")
    func leadingEdge() {
        var pacer = TickPacer(tick: .milliseconds(20))
        #expect(pacer.wanted(at: start) == .now)
        #expect(pacer.wanted(at: start + .milliseconds(5)) == .after(.milliseconds(15)))
        #expect(pacer.wanted(at: start + .milliseconds(6)) == .scheduled)
        pacer.due(at: start + .milliseconds(20))
        #expect(pacer.wanted(at: start + .milliseconds(21)) == .after(.milliseconds(19)))
    }

    @Test("after a quiet tick it is at once again")
    func quiet() {
        var pacer = TickPacer(tick: .milliseconds(20))
        _ = pacer.wanted(at: start)
        #expect(pacer.wanted(at: start + .milliseconds(20)) == .now)
    }
}
