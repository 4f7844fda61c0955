import ParleyCore
import Testing

@Suite("Cuts of runs")
struct RunCutTests {
    /// Ten changes of 4 to 13 bytes in three runs.
    private let changes = (0..<10).map { "{\"\($0)\":" + String(repeating: "1", count: $0 + 1) + "}" }

    private var runs: [Run] {
        [
            Changes.run(Array(changes[0..<3]), from: 1, tag: 1), Changes.run(Array(changes[3..<4]), from: 4, tag: 2),
            Changes.run(Array(changes[4..<10]), from: 5, tag: 3),
        ]
    }

    private func joined(_ changes: some Sequence<String>) -> String { changes.joined(separator: ",") }
    private func text(_ runs: [Run]) -> String { String(decoding: runs.body, as: UTF8.self) }

    /// How many may be taken of what comes in this order.
    private func count(_ cut: RunCut, of changes: some Collection<String>) -> Int {
        let fitting = (0...changes.count).last { joined(changes.prefix($0)).utf8.count <= cut.bytesMax } ?? 0
        return min(cut.changesMax, cut.takesOne ? max(1, fitting) : fitting)
    }

    private static let cuts = (0...11).flatMap { changesMax in
        (0...110).flatMap { bytesMax in
            [false, true].map { RunCut(changesMax: changesMax, bytesMax: bytesMax, takesOne: $0) }
        }
    }

    @Test("the newest that fit by number and by bytes are taken, and one in any case where it is owed")
    func newest() {
        for cut in Self.cuts {
            let taken = cut.newest(of: runs)
            let count = count(cut, of: changes.reversed())
            #expect(text(taken) == joined(changes.suffix(count)), "\(cut)")
            #expect(taken.first?.from == (count == 0 ? nil : Seq(11 - count)), "\(cut)")
        }
    }

    @Test("the oldest that fit by number and by bytes are taken, and one in any case where it is owed")
    func oldest() {
        for cut in Self.cuts {
            let taken = cut.oldest(of: runs)
            let count = count(cut, of: changes)
            #expect(text(taken) == joined(changes.prefix(count)), "\(cut)")
            #expect(taken.last?.to == (count == 0 ? nil : Seq(count)), "\(cut)")
        }
    }

    @Test("whole runs are taken as they are, or not")
    func whole() {
        for bytesMax in 0...110 {
            let fitting = (0...3).last {
                runs.prefix($0).map { text([$0]) }.joined(separator: ",").utf8.count <= bytesMax
            }
            #expect(RunCut(bytesMax: bytesMax).oldestWhole(of: runs) == Array(runs.prefix(fitting ?? 0)))
            let owed = RunCut(bytesMax: bytesMax, takesOne: true).oldestWhole(of: runs)
            #expect(owed == Array(runs.prefix(max(1, fitting ?? 0))))
        }
    }

    @Test("of nothing, nothing is taken")
    func nothing() {
        let cut = RunCut(bytesMax: 10, takesOne: true)
        #expect(cut.newest(of: []).isEmpty)
        #expect(cut.oldest(of: []).isEmpty)
        #expect(cut.oldestWhole(of: []).isEmpty)
    }
}
