internal import ParleyCore

/// Cuts runs to a number of changes and bytes. Bytes are those of the changes with a comma between any two.
enum RunTrimming {
    /// The newest changes of gapless, ascending runs.
    static func newest(_ runs: [Run], changesMax: Int, bytesMax: Int, atLeastOne: Bool = false) -> [Run] {
        var budget = Budget(changes: changesMax, bytes: bytesMax, owesOne: atLeastOne)
        var kept: [Run] = []
        for run in runs.reversed() {
            var taken = 0
            for length in run.changeLengths.reversed() {
                guard budget.take(length) else { break }
                taken += 1
            }
            if let part = run.suffix(after: run.to - Seq(taken)) { kept.append(part) }
            if taken < run.count { break }
        }
        return kept.reversed()
    }

    /// The oldest changes of gapless, ascending runs.
    static func oldest(_ runs: [Run], changesMax: Int, bytesMax: Int, atLeastOne: Bool = false) -> [Run] {
        var budget = Budget(changes: changesMax, bytes: bytesMax, owesOne: atLeastOne)
        var kept: [Run] = []
        for run in runs {
            var taken = 0
            for length in run.changeLengths {
                guard budget.take(length) else { break }
                taken += 1
            }
            if let part = run.prefix(through: run.from + Seq(taken) - 1) { kept.append(part) }
            if taken < run.count { break }
        }
        return kept
    }

    /// One body of several runs.
    static func joined(_ runs: [Run]) -> [UInt8] {
        Array(runs.map(\.body).joined(separator: [UInt8(ascii: ",")]))
    }

    private struct Budget {
        var changes: Int
        var bytes: Int
        /// The first change is taken even when it is too long.
        var owesOne: Bool
        var isFirst = true

        init(changes: Int, bytes: Int, owesOne: Bool) {
            self.changes = changes
            self.bytes = bytes
            self.owesOne = owesOne
        }

        mutating func take(_ length: Int) -> Bool {
            let needed = isFirst ? length : length + 1
            guard changes > 0, needed <= bytes || owesOne && isFirst else { return false }
            changes -= 1
            bytes -= needed
            isFirst = false
            return true
        }
    }
}
