import NIOCore

/// How often something may happen: as often as `perSecond` in the long run, `burst` times at once. A token bucket.
struct RateBucket {
    private let perSecond: Double
    private let burst: Double
    private var tokens: Double
    private var filledAt: NIODeadline

    init(perSecond: Int, burst: Int, now: NIODeadline) {
        self.perSecond = Double(perSecond)
        self.burst = Double(burst)
        tokens = self.burst
        filledAt = now
    }

    /// False when it happens too often; that counts for nothing.
    mutating func take(at now: NIODeadline) -> Bool {
        tokens = min(burst, tokens + Double((now - filledAt).nanoseconds) / 1e9 * perSecond)
        filledAt = now
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }
}
