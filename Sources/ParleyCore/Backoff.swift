/// How long to wait before the next attempt: a random part of a ceiling that doubles with each failure.
public struct Backoff: Sendable {
    private let first: Duration
    private let max: Duration
    private var failures = 0

    public init(first: Duration, max: Duration) {
        self.first = first
        self.max = max
    }

    public mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
        let ceiling = min(max, first * (1 << min(failures, 20)))
        failures += 1
        return ceiling * Double.random(in: 0...1, using: &generator)
    }

    public mutating func reset() { failures = 0 }
}
