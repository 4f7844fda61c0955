import ParleyCore
import TestRandom
import Testing

@Suite("Back-off")
struct BackoffTests {
    @Test("the pause grows twofold up to its bound, and each is a random part of that")
    func backoff() {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var longest = [Duration](repeating: .zero, count: 6)
        var shortest = [Duration](repeating: .seconds(9), count: 6)
        for _ in 0..<1_000 {
            var backoff = Backoff(first: .milliseconds(100), max: .milliseconds(500))
            for attempt in 0..<5 {
                let pause = backoff.next(using: &generator)
                longest[attempt] = max(longest[attempt], pause)
                shortest[attempt] = min(shortest[attempt], pause)
            }
            backoff.reset()
            longest[5] = max(longest[5], backoff.next(using: &generator))
        }
        for (attempt, ceiling) in [100, 200, 400, 500, 500, 100].enumerated() {
            #expect(longest[attempt] <= .milliseconds(ceiling))
            #expect(longest[attempt] > .milliseconds(ceiling) * 0.95)
            if attempt < 5 { #expect(shortest[attempt] < .milliseconds(ceiling) * 0.05) }
        }
    }
}
