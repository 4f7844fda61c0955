/// How long to wait before the next attempt: a random part of a ceiling that doubles with each failure.
struct Backoff {
    private let first: Duration
    private let max: Duration
    private var failures = 0

    init(first: Duration, max: Duration) {
        self.first = first
        self.max = max
    }

    mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
        let ceiling = min(max, first * (1 << min(failures, 20)))
        failures += 1
        return ceiling * Double.random(in: 0...1, using: &generator)
    }

    mutating func reset() { failures = 0 }
}
