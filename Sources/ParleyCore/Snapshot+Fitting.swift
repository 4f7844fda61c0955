extension Snapshot {
    /// Drops the oldest changes until no more than `bytesMax` bytes are left.
    public mutating func keepNewest(bytesMax: Int) {
        var bytes = 0
        var kept: [Run] = []
        for run in runs.reversed() {
            if bytes + run.body.count + 1 <= bytesMax {
                bytes += run.body.count + 1
                kept.append(run)
                continue
            }
            var from = run.to + 1
            for length in run.changeLengths.reversed() {
                guard bytes + length + 1 <= bytesMax else { break }
                bytes += length + 1
                from -= 1
            }
            if let part = run.suffix(after: from - 1) { kept.append(part) }
            break
        }
        runs = kept.reversed()
    }

    /// Drops the newest changes until no more than `bytesMax` bytes are left, but for the first, which always stays, and
    /// puts `end` behind the last one kept.
    public mutating func keepOldest(bytesMax: Int) {
        var bytes = 0
        for (index, run) in runs.enumerated() {
            if bytes + run.body.count + 1 <= bytesMax {
                bytes += run.body.count + 1
                continue
            }
            var to = run.from - 1
            for length in run.changeLengths {
                guard bytes + length + 1 <= bytesMax else { break }
                bytes += length + 1
                to += 1
            }
            if index == 0 { to = max(to, run.from) }
            let part = run.prefix(through: to)
            runs = Array(runs[..<index]) + (part.map { [$0] } ?? [])
            if let last = runs.last { end = last.end }
            return
        }
    }
}
