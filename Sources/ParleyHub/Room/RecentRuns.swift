import DequeModule
package import ParleyCore

/// The newest delivered runs of a room, kept so that somebody who is a little behind need not be sent to the log.
package struct RecentRuns {
    package static let bytesMax = 65_536

    private var runs: Deque<Run> = []
    private var bytes = 0
    /// The place before the oldest run that is kept.
    private var start: Seq

    package init(after seq: Seq) { start = seq }

    package mutating func append(_ run: Run) {
        runs.append(run)
        bytes += run.body.count
        while bytes > Self.bytesMax, let oldest = runs.popFirst() {
            bytes -= oldest.body.count
            start = oldest.to
        }
    }

    /// Everything after `seq`; nil when that reaches further back than what is kept.
    package func after(_ seq: Seq) -> [Run]? {
        guard seq >= start else { return nil }
        var news: [Run] = []
        for run in runs.reversed() {
            guard let part = run.suffix(after: seq) else { break }
            news.append(part)
        }
        return news.reversed()
    }

    /// Where the runs lie, and their tags.
    var places: [(range: ClosedRange<Seq>, tag: Tag)] { runs.map { ($0.from...$0.to, $0.tag) } }

    package mutating func reset(to seq: Seq) {
        runs.removeAll()
        bytes = 0
        start = seq
    }
}
