/// Finds out that this node's own notifications do not come back to it: then those of others do not either, whatever the
/// connection says of itself. Pure: it is told the time.
struct EchoWatch {
    typealias Instant = ContinuousClock.Instant

    /// How often a node that has nothing to announce says something to itself.
    static let probeEvery = Duration.seconds(5)
    /// How long the echo may take.
    static let patience = Duration.seconds(3)

    enum Step: Equatable {
        case wait
        /// Say something.
        case probe
        /// What was said has not come back. `isNew`: it did the time before.
        case deaf(isNew: Bool)
    }

    private var heardAt: Instant
    private var probedAt: Instant?
    private(set) var isDeaf = false

    init(at now: Instant) { heardAt = now }

    /// Something of this node's own has come back. The time that it took, if it was a probe; `recovered` when nothing had
    /// come back before.
    mutating func heard(at now: Instant) -> (delay: Duration?, recovered: Bool) {
        defer { (heardAt, probedAt, isDeaf) = (now, nil, false) }
        return (probedAt.map { now - $0 }, isDeaf)
    }

    /// A new connection listens: what was said on the way to it is not waited for.
    mutating func listening(at now: Instant) { (heardAt, probedAt) = (now, nil) }

    mutating func due(at now: Instant) -> Step {
        if let probedAt {
            guard now - probedAt >= Self.patience else { return .wait }
            self.probedAt = nil
            heardAt = now
            defer { isDeaf = true }
            return .deaf(isNew: !isDeaf)
        }
        guard now - heardAt >= Self.probeEvery || isDeaf else { return .wait }
        probedAt = now
        return .probe
    }
}
