import ParleyCore
import TestRandom
import Testing

@Suite("Runs of changes")
struct RunTests {
    @Test("a run is cut at every place, whatever its changes hold")
    func cuts() {
        let changes = Changes.awkward
        let last = Seq(10 + changes.count - 1)
        let run = Changes.run(changes, from: 10)
        #expect(run.count == changes.count)
        #expect(run.end == Position(seq: last, tag: 7))
        #expect(run.changeLengths == changes.map(\.utf8.count))
        for seq in 9...last + 1 {
            let kept = changes.dropFirst(max(0, Int(seq) - 9))
            let suffix = run.suffix(after: seq)
            #expect(suffix == (kept.isEmpty ? nil : Changes.run(Array(kept), from: max(10, seq + 1))), "after \(seq)")
            let part = changes.prefix(max(0, Int(seq) - 9))
            let prefix = run.prefix(through: seq)
            #expect(prefix == (part.isEmpty ? nil : Changes.run(Array(part), from: 10)), "through \(seq)")
        }
    }

    @Test("a cut far outside leaves the run, or nothing")
    func outside() {
        let run = Changes.run(["{}", "{}"], from: 5)
        #expect(run.suffix(after: 0) == run)
        #expect(run.suffix(after: .min) == run)
        #expect(run.suffix(after: .max) == nil)
        #expect(run.prefix(through: .max) == run)
        #expect(run.prefix(through: .min) == nil)
    }

    @Test("an empty body has no changes")
    func empty() {
        #expect(Run(from: 1, to: 0, tag: 0, body: []).changeLengths.isEmpty)
        #expect(Run(from: 1, to: 0, tag: 0, body: []).count == 0)
    }

    @Test("cutting twice is cutting once", arguments: 0..<100 as Range<UInt64>)
    func twice(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let changes = (0..<Int.random(in: 1...20, using: &random)).map { _ in
            Changes.awkward.randomElement(using: &random) ?? "{}"
        }
        let run = Changes.run(changes, from: 1)
        let from = Seq.random(in: 1...run.to, using: &random)
        let to = Seq.random(in: from...run.to, using: &random)
        let cut = try #require(run.suffix(after: from - 1)?.prefix(through: to))
        #expect(cut == run.prefix(through: to)?.suffix(after: from - 1))
        #expect(cut == Changes.run(Array(changes[Int(from - 1)..<Int(to)]), from: from))
    }
}
