import ParleyClient

/// Judges what the members of a room were told of each other.
///
/// In the quiet, each one's roster is the database's. Before that, nobody is told as gone who was not away for the grace:
/// a member is away from when its node may have missed it until it has news of the room again.
public struct RosterChecker: Sendable {
    public private(set) var violations: [String] = []

    private let grace: Duration
    /// A node may miss a client so much earlier than the client misses its node: that one waits for a frame.
    private let silenceMax: Duration
    /// What is on its way when the client is back may still be told so much later.
    private let newsMax: Duration

    public init(grace: Duration, silenceMax: Duration = .seconds(13), newsMax: Duration = .seconds(5)) {
        self.grace = grace
        self.silenceMax = silenceMax
        self.newsMax = newsMax
    }

    public mutating func check(_ room: String, members: Set<String>, _ speakers: [SpeakerRecord]) {
        var absences: [String: [ClosedRange<ContinuousClock.Instant>]] = [:]
        for speaker in speakers {
            let who = "\(room), client \(speaker.number)"
            if speaker.roster != members {
                let (missing, extra) = (members.subtracting(speaker.roster), speaker.roster.subtracting(members))
                violations.append("\(who): its roster lacks \(missing.sorted()) and has \(extra.sorted()) too many")
            }
            if speaker.rosterCount != members.count {
                violations.append("\(who): was told of \(speaker.rosterCount) members of \(members.count)")
            }
            for id in speaker.clientIDs { absences[id] = speaker.absences }
        }
        for speaker in speakers {
            for (at, clientID) in speaker.departures {
                let mayBeTold = absences[clientID, default: []].contains { away in
                    away.upperBound - away.lowerBound + silenceMax >= grace
                        && away.lowerBound - silenceMax + grace <= at && at <= away.upperBound + newsMax
                }
                guard !mayBeTold else { continue }
                violations.append("\(room), client \(speaker.number): told that \(clientID) left, which was not away")
            }
        }
    }
}
