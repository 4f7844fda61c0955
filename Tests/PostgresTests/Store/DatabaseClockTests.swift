import Testing

@testable import ParleyPostgres

@Suite("Database clock")
struct DatabaseClockTests {
    @Test("a time is reckoned from the middle of the last short round trip, and is as wrong as half of it")
    func reckons() {
        let clock = DatabaseClock()
        let start = ContinuousClock.now
        #expect(clock.milliseconds(at: start) == nil)
        clock.read(1_000_000, sent: start, received: start + .milliseconds(100))
        #expect(clock.milliseconds(at: start + .milliseconds(50)) == 999_947...1_000_053)
        #expect(clock.milliseconds(at: start + .milliseconds(250)) == 1_000_147...1_000_253)
        #expect(clock.milliseconds(at: start - .milliseconds(50)) == 999_847...999_953)
        clock.read(9_000_000, sent: start, received: start + .milliseconds(501))
        #expect(clock.milliseconds(at: start + .milliseconds(50)) == 999_947...1_000_053)
        clock.read(2_000_000, sent: start, received: start)
        #expect(clock.milliseconds(at: start) == 1_999_997...2_000_003)
    }
}
