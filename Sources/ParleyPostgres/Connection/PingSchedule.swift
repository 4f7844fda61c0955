/// When a connection that mostly listens must prove that the server is still there.
struct PingSchedule {
    typealias Instant = ContinuousClock.Instant

    enum Due: Equatable {
        case wait
        /// Send one now.
        case ping
        /// The last one has had no answer for too long.
        case silent
    }

    private enum Phase {
        case resting(since: Instant)
        case underway(since: Instant)
    }

    private let every: Duration
    private let silenceMax: Duration
    private var phase: Phase

    init(every: Duration, silenceMax: Duration, now: Instant) {
        self.every = every
        self.silenceMax = silenceMax
        self.phase = .resting(since: now)
    }

    var isUnderway: Bool {
        switch phase {
        case .resting: false
        case .underway: true
        }
    }

    /// When `due` has something to say, unless an answer comes first.
    var nextAt: Instant {
        switch phase {
        case .resting(let since): since + every
        case .underway(let since): since + silenceMax
        }
    }

    mutating func due(_ now: Instant) -> Due {
        guard nextAt <= now else { return .wait }
        switch phase {
        case .resting:
            phase = .underway(since: now)
            return .ping
        case .underway: return .silent
        }
    }

    mutating func answered(_ now: Instant) { phase = .resting(since: now) }
}
