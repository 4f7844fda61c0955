import NIOCore
import Testing

@testable import ParleyGateway

@Suite("Rate bucket")
struct RateBucketTests {
    private let zero = NIODeadline.uptimeNanoseconds(1_000_000_000)

    @Test("a burst passes at once, then no more than the rate, and a rest fills it up to a burst again")
    func rate() {
        var bucket = RateBucket(perSecond: 10, burst: 3, now: zero)
        func taken(at milliseconds: Int64, of tries: Int) -> Int {
            (0..<tries).count { _ in bucket.take(at: zero + .milliseconds(milliseconds)) }
        }
        #expect(taken(at: 0, of: 5) == 3)
        #expect(taken(at: 99, of: 5) == 0)
        #expect(taken(at: 100, of: 5) == 1)
        #expect(taken(at: 350, of: 5) == 2)
        #expect(taken(at: 60_000, of: 9) == 3)
    }
}
