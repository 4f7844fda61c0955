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
    /// Who is in the room, by what the node told.
    public var roster: Set<String> = []
    public var rosterCount = 0
    /// Members of whom it was told that they left.
    public var departures: [(at: ContinuousClock.Instant, clientID: String)] = []
    public var violations: [String] = []
    public var moments: [(at: ContinuousClock.Instant, moment: Moment)] = []

    public init(number: Int) { self.number = number }

    public mutating func saw(_ news: RosterNews, at now: ContinuousClock.Instant) {
        news.apply(to: &roster)
        rosterCount = news.count
        departures += news.left.map { (now, $0) }
    }

    /// From each lost socket to the first news of the room on the next one.
    public var absences: [ClosedRange<ContinuousClock.Instant>] {
        var absences: [ClosedRange<ContinuousClock.Instant>] = []
        var start: ContinuousClock.Instant?
        for (at, moment) in moments {
            switch moment {
            case .lost: start = start ?? at
            case .back:
                if let start { absences.append(start...at) }
                start = nil
            case .open, .reset, .ended: break
            }
        }
        return absences
    }

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
