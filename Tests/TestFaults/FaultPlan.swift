import TestRandom

/// Which faults, when, for how long: all of it from one seed, so that the seed replays the plan, though not its timing.
public struct FaultPlan: Sendable, Equatable {
    public struct Step: Sendable, Equatable, CustomStringConvertible {
        /// From the beginning of the run.
        public var at: Duration
        public var fault: Fault
        public var lasts: Duration

        public var description: String {
            "\(Int(at / .milliseconds(1))) ms: \(fault), for \(Int(lasts / .milliseconds(1))) ms"
        }
    }

    private static let redrawsMax = 1_000

    public let seed: UInt64
    public let steps: [Step]

    /// - Parameters:
    ///   - pace: from one fault to the next, on average.
    ///   - only: what a fault's kind has to begin with; any when nil, or when there is none such.
    public init(seed: UInt64, faults: Int, nodes: Int, pace: Duration, only: String? = nil) {
        self.seed = seed
        var random = SeededGenerator(seed: seed)
        var at = Duration.seconds(2)
        var steps: [Step] = []
        while steps.count < faults {
            var (fault, lasts) = Self.draw(nodes, &random)
            for _ in 0..<Self.redrawsMax where only.map({ !fault.kind.hasPrefix($0) }) == true {
                (fault, lasts) = Self.draw(nodes, &random)
            }
            steps.append(Step(at: at, fault: fault, lasts: lasts))
            if let node = fault.slowNode, steps.count < faults, Bool.random(using: &random) {
                let cut = Fault.clientLinksCut(node, byReset: Bool.random(using: &random))
                let cutAt = at + lasts * Double.random(in: 0.1...0.6, using: &random)
                steps.append(Step(at: cutAt, fault: cut, lasts: .zero))
            }
            at += pace * Double.random(in: 0.2...1.8, using: &random)
        }
        self.steps = steps.sorted { $0.at < $1.at }
    }

    private static func draw(_ nodes: Int, _ random: inout SeededGenerator) -> (Fault, Duration) {
        let node = Int.random(in: 0..<nodes, using: &random)
        func milliseconds(_ range: ClosedRange<Int>) -> Duration {
            .milliseconds(Int.random(in: range, using: &random))
        }
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<16: return (.nodeKilled(node), milliseconds(100...3_000))
        case 16..<24: return (.nodeTerminated(node), milliseconds(0...1_500))
        // Some beyond the lease.
        case 24..<38: return (.nodePaused(node), milliseconds(300...9_000))
        case 38..<44: return (.databaseCrashed, milliseconds(0...2_000))
        case 44..<54: return (.backendsTerminated(all: Bool.random(using: &random)), .zero)
        case 54..<66: return (.clientLinksCut(node, byReset: Bool.random(using: &random)), .zero)
        case 66..<72: return (.clientLinksStalled(node), milliseconds(500...8_000))
        case 72..<76:
            let ms = Int64.random(in: 20...400, using: &random)
            return (.clientLinksDelayed(node, ms: ms), milliseconds(1_000...4_000))
        case 76..<84: return (.databaseLinksCut(node, byReset: Bool.random(using: &random)), .zero)
        case 84..<90: return (.databaseLinksStalled(node), milliseconds(500...8_000))
        case 90..<94:
            let ms = Int64.random(in: 20...400, using: &random)
            return (.databaseLinksDelayed(node, ms: ms), milliseconds(1_000...4_000))
        default: return (.databaseAnswersLost(node), milliseconds(50...1_000))
        }
    }
}
