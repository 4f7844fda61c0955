public import ParleyClient
public import ParleyCore

/// What one client did and saw.
public struct SpeakerRecord: Sendable {
    public enum Outcome: Sendable, Equatable {
        case pending
        case durable(Seq)
        /// Durable, its place in a part of the log that a reset has skipped.
        case durableSomewhere
        /// Surely not applied.
        case refused(String)
        case unknown
    }

    public enum Moment: Sendable, Equatable {
        case open(node: String)
        case lost(String)
        /// The first news of the room on a new socket.
        case back
        case reset(from: Seq, isDiverged: Bool)
        case ended(String)
    }

    public let number: Int
    public var clientIDs: [String] = []
    /// Of message `number`, at `number - 1`.
    public var outcomes: [Outcome] = []
    public var pending = 0
    /// The stretches of the log that were reported, each without a gap in it.
    public var stretches: [ClosedRange<Seq>] = []
    /// Up to where the room is known.
    public var end: Seq = 0
    public var violations: [String] = []
    public var moments: [(at: ContinuousClock.Instant, moment: Moment)] = []

    public init(number: Int) { self.number = number }

    public mutating func saw(_ changes: [Change], upTo end: Seq, restarts: Bool) {
        self.end = end
        guard let first = changes.first?.seq, let last = changes.last?.seq else { return }
        if let stretch = stretches.last, !restarts {
            if first != stretch.upperBound + 1 {
                violations.append("reported \(first) behind \(stretch.upperBound)")
            }
            stretches[stretches.count - 1] = stretch.lowerBound...max(last, stretch.upperBound)
        } else {
            stretches.append(first...last)
        }
        for (index, change) in changes.enumerated() where change.seq != first + Int64(index) {
            violations.append("reported \(change.seq) where \(first + Int64(index)) belongs")
        }
    }
}
