/// Decides when this node may declare others dead. Pure: it is told the time.
///
/// A lease that has run out stops nobody; it entitles a node that itself has reached the database for a whole lease. So an
/// outage of the database, or a pause of this process, is never taken for the death of the others.
struct SilenceWatch {
    typealias Instant = ContinuousClock.Instant

    private let lease: Duration
    /// When the first heartbeat was sent of those that were answered without a break: none was sent later than half a lease
    /// after the one before.
    private var reachableSince: Instant?
    private var lastBeat: Instant?

    init(lease: Duration) { self.lease = lease }

    /// A heartbeat that was sent at `sent` has come back. Returns the nodes to be declared dead.
    mutating func heard(_ silentNodes: Set<Int64>, sentAt sent: Instant) -> [Int64] {
        if let lastBeat, sent - lastBeat > lease / 2 { reachableSince = nil }
        lastBeat = sent
        let since = reachableSince ?? sent
        reachableSince = since
        return sent - since >= lease ? silentNodes.sorted() : []
    }
}
