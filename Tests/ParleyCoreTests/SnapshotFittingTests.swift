import ParleyCore
import Testing

@Suite("Snapshots cut to size")
struct SnapshotFittingTests {
    /// Ten changes of 4 to 13 bytes in three runs.
    private let changes = (0..<10).map { "{\"\($0)\":" + String(repeating: "1", count: $0 + 1) + "}" }

    private var snapshot: Snapshot {
        let runs = [
            Changes.run(Array(changes[0..<3]), from: 1, tag: 1), Changes.run(Array(changes[3..<4]), from: 4, tag: 2),
            Changes.run(Array(changes[4..<10]), from: 5, tag: 3),
        ]
        return Snapshot(
            head: Position(seq: 10, tag: 3), runs: runs, continuity: .continues, end: Position(seq: 10, tag: 3))
    }

    private func bytes(_ changes: ArraySlice<String>) -> Int { changes.joined(separator: ",").utf8.count }

    private func text(_ runs: [Run]) -> String {
        runs.map { String(decoding: $0.body, as: UTF8.self) }.joined(separator: ",")
    }

    @Test("the newest that fit stay, and the end stays the end")
    func newest() {
        for bytesMax in 0...bytes(changes[...]) + 2 {
            var snapshot = snapshot
            snapshot.keepNewest(bytesMax: bytesMax)
            let kept = (0...10).last { bytes(changes.suffix($0)) <= bytesMax } ?? 0
            #expect(text(snapshot.runs) == changes.suffix(kept).joined(separator: ","), "\(bytesMax) bytes")
            #expect(snapshot.runs.first?.from == (kept == 0 ? nil : Seq(11 - kept)))
            #expect(snapshot.end == Position(seq: 10, tag: 3))
        }
    }

    @Test("the oldest that fit stay, the first always, and the end moves behind them")
    func oldest() {
        let tags: [ParleyCore.Tag] = [1, 1, 1, 2, 3, 3, 3, 3, 3, 3]
        for bytesMax in 0...bytes(changes[...]) + 2 {
            var snapshot = snapshot
            snapshot.keepOldest(bytesMax: bytesMax)
            let kept = max(1, (0...10).last { bytes(changes.prefix($0)) <= bytesMax } ?? 0)
            #expect(text(snapshot.runs) == changes.prefix(kept).joined(separator: ","), "\(bytesMax) bytes")
            #expect(snapshot.runs.first?.from == 1)
            #expect(snapshot.end == Position(seq: Seq(kept), tag: tags[kept - 1]))
        }
    }

    @Test("nothing stays nothing")
    func nothing() {
        var snapshot = Snapshot(
            head: Position(seq: 4, tag: 1), runs: [], continuity: .reset, end: Position(seq: 4, tag: 1))
        snapshot.keepOldest(bytesMax: 0)
        snapshot.keepNewest(bytesMax: 0)
        #expect(snapshot.runs.isEmpty)
        #expect(snapshot.end == Position(seq: 4, tag: 1))
    }
}
