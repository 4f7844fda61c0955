/// How long this node may still take itself for alive. Pure: it is told the time.
///
/// It counts from when an answered heartbeat was sent, which is before the database wrote the lease down, and for no
/// longer than what every heartbeat leaves of it: so it ends before anybody may declare the node dead, also when the
/// process was stopped meanwhile, or what it sends goes nowhere.
struct LeaseTrust {
    typealias Instant = ContinuousClock.Instant

    private let time: Duration
    private var end: Instant?

    /// - Parameter time: what is left of the lease at least when a heartbeat is answered.
    init(_ time: Duration) { self.time = time }

    /// A heartbeat that was sent at `sent` has come back.
    mutating func heard(sentAt sent: Instant) { end = max(end ?? sent, sent + time) }

    func holds(at now: Instant) -> Bool { end.map { now < $0 } ?? false }
}
