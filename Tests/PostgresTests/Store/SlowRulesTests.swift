import ParleyCore
import Testing

@testable import ParleyPostgres

@Suite("Rooms whose rule is slow")
struct SlowRulesTests {
    private let room = RoomNumber(1)
    private let start = ContinuousClock.now

    @Test("half a minute apart, and twice as long each time that the trial fails, up to a bound")
    func doubling() {
        let slow = SlowRules()
        #expect(!slow.contains(room, at: start))
        var now = start
        for length in [30, 60, 120, 240, 480, 960, 960] {
            slow.add(room, at: now)
            #expect(slow.contains(room, at: now + .seconds(length - 1)))
            now += .seconds(length)
            #expect(!slow.contains(room, at: now), "\(length)")
        }
    }

    @Test("while it is apart it is no news that it is slow")
    func again() {
        let slow = SlowRules()
        for second in 0..<30 { slow.add(room, at: start + .seconds(second)) }
        #expect(!slow.contains(room, at: start + .seconds(30)))
    }

    @Test("one that has been quick for as long as it was away begins anew; others are not concerned")
    func forgiven() {
        let slow = SlowRules()
        slow.add(room, at: start)
        slow.add(RoomNumber(2), at: start + .seconds(1))
        slow.add(room, at: start + .seconds(61))
        #expect(!slow.contains(room, at: start + .seconds(91)))
        #expect(!slow.contains(RoomNumber(3), at: start))
    }
}
