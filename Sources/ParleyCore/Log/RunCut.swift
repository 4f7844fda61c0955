/// What of gapless, ascending runs may be taken: so many changes and so many bytes, which are those of the changes with a
/// comma between any two, as a frame holds them.
public struct RunCut: Sendable {
    public var changesMax: Int
    public var bytesMax: Int
    /// One change is taken even when it alone has too many bytes, for whoever would never get past it otherwise.
    public var takesOne: Bool

    public init(changesMax: Int = .max, bytesMax: Int, takesOne: Bool = false) {
        self.changesMax = changesMax
        self.bytesMax = bytesMax
        self.takesOne = takesOne
    }

    /// The newest changes that may be taken; the oldest of them may begin inside a run.
    public func newest(of runs: [Run]) -> [Run] {
        var budget = Budget(self)
        var kept: [Run] = []
        for run in runs.reversed() {
            if budget.take(run, isUnit: false) {
                kept.append(run)
                continue
            }
            let taken = run.changeLengths.reversed().prefix { budget.take(bytes: $0, changes: 1) }.count
            if let part = run.suffix(after: run.to - Seq(taken)) { kept.append(part) }
            break
        }
        return kept.reversed()
    }

    /// The oldest changes that may be taken; the newest of them may end inside a run.
    public func oldest(of runs: [Run]) -> [Run] {
        var budget = Budget(self)
        var kept: [Run] = []
        for run in runs {
            if budget.take(run, isUnit: false) {
                kept.append(run)
                continue
            }
            let taken = run.changeLengths.prefix { budget.take(bytes: $0, changes: 1) }.count
            if let part = run.prefix(through: run.from + Seq(taken) - 1) { kept.append(part) }
            break
        }
        return kept
    }

    /// The oldest runs that may be taken, none of them cut. With `takesOne` it is one run that is taken in any case.
    public func oldestWhole(of runs: some Sequence<Run>) -> [Run] {
        var budget = Budget(self)
        var kept: [Run] = []
        for run in runs {
            guard budget.take(run, isUnit: true) else { break }
            kept.append(run)
        }
        return kept
    }

    private struct Budget {
        private var changes: Int
        private var bytes: Int
        private var owesOne: Bool
        private var isFirst = true

        init(_ cut: RunCut) {
            changes = cut.changesMax
            bytes = cut.bytesMax
            owesOne = cut.takesOne
        }

        mutating func take(_ run: Run, isUnit: Bool) -> Bool {
            take(bytes: run.body.count, changes: run.count, isUnit: isUnit)
        }

        /// `isUnit`: this is what `takesOne` promises one of, a whole run where runs are not cut, else a change.
        mutating func take(bytes length: Int, changes count: Int, isUnit: Bool = true) -> Bool {
            let needed = isFirst ? length : length + 1
            guard count <= changes, needed <= bytes || owesOne && isFirst && isUnit else { return false }
            changes -= count
            bytes -= needed
            isFirst = false
            return true
        }
    }
}
