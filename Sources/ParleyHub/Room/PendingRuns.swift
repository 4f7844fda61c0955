package import ParleyCore

/// What a room has in order and has not said yet.
package struct PendingRuns {
    /// With so much to say no more is taken in; the log has it. A read brings about as much again, one frame takes as much
    /// away.
    package static let bytesMax = 1_048_576

    private var runs: [Run] = []
    private var bytes = 0

    package init() {}

    package var isEmpty: Bool { runs.isEmpty }
    package var isFull: Bool { bytes >= Self.bytesMax }

    package mutating func append(contentsOf more: [Run]) {
        runs += more
        bytes += more.reduce(0) { $0 + $1.body.count }
    }

    /// The oldest that fit one frame; none only when there are none.
    package mutating func take(bytesMax: Int) -> [Run] {
        let taken = RunCut(bytesMax: bytesMax, takesOne: true).oldestWhole(of: runs)
        runs.removeFirst(taken.count)
        bytes -= taken.reduce(0) { $0 + $1.body.count }
        return taken
    }

    package mutating func removeAll() {
        runs = []
        bytes = 0
    }
}
