import Testing

@testable import ParleyPostgres

@Suite("Echo watch")
struct EchoWatchTests {
    private let start = ContinuousClock.now
    private func at(_ seconds: Double) -> ContinuousClock.Instant { start + .milliseconds(Int(seconds * 1_000)) }

    @Test("a node that hears itself at work says nothing more; a quiet one speaks to itself now and then")
    func probes() {
        var watch = EchoWatch(at: start)
        #expect(watch.due(at: at(4.9)) == .wait)
        #expect(watch.heard(at: at(4.9)).delay == nil)
        #expect(watch.due(at: at(9.8)) == .wait)
        #expect(watch.due(at: at(9.9)) == .probe)
        #expect(watch.due(at: at(10)) == .wait)
        #expect(watch.heard(at: at(10.1)).delay == .milliseconds(200))
        #expect(watch.due(at: at(15)) == .wait)
    }

    @Test("an echo that does not come is told once as new, tried again, and its return is told")
    func deaf() {
        var watch = EchoWatch(at: start)
        #expect(watch.due(at: at(5)) == .probe)
        #expect(watch.due(at: at(8)) == .deaf(isNew: true))
        #expect(watch.due(at: at(8.5)) == .probe)
        #expect(watch.due(at: at(11.5)) == .deaf(isNew: false))
        #expect(watch.due(at: at(12)) == .probe)
        #expect(watch.heard(at: at(12.1)).recovered)
        #expect(watch.due(at: at(13)) == .wait)
    }

    @Test("what was said on the way to a new connection is not waited for")
    func reconnected() {
        var watch = EchoWatch(at: start)
        #expect(watch.due(at: at(5)) == .probe)
        watch.listening(at: at(6))
        #expect(watch.due(at: at(9)) == .wait)
        #expect(watch.due(at: at(11)) == .probe)
    }
}
