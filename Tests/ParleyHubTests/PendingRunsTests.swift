import ParleyCore
import ParleyHub
import Testing

@Suite("Pending runs")
struct PendingRunsTests {
    private func large(_ seq: Seq) -> Run {
        Run(from: seq, to: seq, tag: 1, body: Array(repeating: 0x20, count: PendingRuns.bytesMax / 4))
    }

    @Test("they come out in order, as many at once as fit")
    func take() {
        var pending = PendingRuns()
        pending.append(contentsOf: [run(1...2), run(3...3)])
        pending.append(contentsOf: [run(4...4)])
        #expect(pending.take(bytesMax: run(1...3).body.count) == [run(1...2), run(3...3)])
        #expect(pending.take(bytesMax: 1) == [run(4...4)], "one in any case")
        #expect(pending.take(bytesMax: 1).isEmpty)
        #expect(pending.isEmpty)
    }

    @Test("they are full at their bound, and no longer once something was taken")
    func full() {
        var pending = PendingRuns()
        pending.append(contentsOf: (1...3).map(large))
        #expect(!pending.isFull)
        pending.append(contentsOf: [large(4)])
        #expect(pending.isFull)
        _ = pending.take(bytesMax: PendingRuns.bytesMax / 2)
        #expect(!pending.isFull)
        pending.append(contentsOf: (5...8).map(large))
        pending.removeAll()
        #expect(!pending.isFull)
        #expect(pending.isEmpty)
    }
}
