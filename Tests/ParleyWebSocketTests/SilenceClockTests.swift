import NIOCore
import Testing

@testable import ParleyWebSocket

struct SilenceClockTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private func clock() -> SilenceClock {
        SilenceClock(pingAfter: .seconds(25), silenceMax: .seconds(10), now: start)
    }

    @Test("a busy socket's timer is set once per look, to 25 s after the last byte")
    func busy() {
        var clock = clock()
        #expect(clock.firstLook == start + .seconds(25))
        clock.heard(at: start + .seconds(24))
        #expect(clock.look(at: start + .seconds(25)) == .look(again: start + .seconds(49)))
    }

    @Test("a late look pings and grants the full wait from then")
    func stoppedProcess() {
        var clock = clock()
        #expect(clock.look(at: start + .seconds(500)) == .ping(look: start + .seconds(510)))
        #expect(clock.look(at: start + .seconds(510)) == .silent)
    }

    @Test("a byte after the ping starts all over")
    func answered() {
        var clock = clock()
        _ = clock.look(at: start + .seconds(25))
        clock.heard(at: start + .seconds(26))
        #expect(clock.look(at: start + .seconds(35)) == .look(again: start + .seconds(51)))
    }
}
