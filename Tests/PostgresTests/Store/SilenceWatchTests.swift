import Testing

@testable import ParleyPostgres

@Suite("Silence watch")
struct SilenceWatchTests {
    private let start = ContinuousClock.now
    private func at(_ seconds: Double) -> ContinuousClock.Instant { start + .milliseconds(Int(seconds * 1_000)) }

    @Test("declares nobody dead before it has reached the database for a whole lease itself")
    func patience() {
        var watch = SilenceWatch(lease: .seconds(5))
        for second in 0...4 { #expect(watch.heard([7], sentAt: at(Double(second))) == []) }
        #expect(watch.heard([7, 3], sentAt: at(5)) == [3, 7])
    }

    @Test("begins anew after a pause of its own, or of the database")
    func pause() {
        var watch = SilenceWatch(lease: .seconds(5))
        for second in 0...9 { _ = watch.heard([], sentAt: at(Double(second))) }
        #expect(watch.heard([7], sentAt: at(12)) == [], "half a lease and more is a pause")
        for second in 13...16 { #expect(watch.heard([7], sentAt: at(Double(second))) == []) }
        #expect(watch.heard([7], sentAt: at(17)) == [7])
    }
}
