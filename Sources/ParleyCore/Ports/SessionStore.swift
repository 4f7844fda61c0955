/// Sessions, and which of their sockets has them: the part of a store that is about one client at a time.
///
/// The sockets of a session have rising numbers in the order in which they took it up, over the whole cluster: 0 is the
/// one with which it began. The highest number has the session. What a socket does as a member names its number, so
/// that one that was overtaken, on a node that does not know it yet, changes nothing any more.
public protocol SessionStore: Sendable {
    /// Takes a session up on a new socket of this node. From then on no older socket's joins and leaves count. Not
    /// idempotent, but harmless when it is done twice: the number is a higher one.
    ///
    /// Fails with `unavailable` when `shown` tells that the socket comes too late: it bears the token of an earlier
    /// socket, while a later one goes on of which the client has heard. A node that was paused, or a network, had kept
    /// it.
    ///
    /// - Parameter shown: The number of the socket with which the client got its token; nil for no condition.
    /// - Parameter openedAt: When the socket was opened: with `shown`, it comes too late also when it was opened
    ///   clearly before the one that goes on.
    /// - Parameter isWanted: Whether the socket is still there: asked at the last moment, so that one that was given up
    ///   takes nothing from a newer one. Called from any thread.
    /// - Parameter endedWithin: The session is over when its last socket ended longer ago, or the store does not know
    ///   it. nil when that is known not to be.
    /// - Returns: nil when the session is over.
    func takeUp(
        _ session: SessionIdentity, shown: Int64?, openedAt: ContinuousClock.Instant, endedWithin: Duration?,
        isWanted: @escaping @Sendable () -> Bool
    ) async throws(StoreError) -> TakenUp?

    /// Those of the sockets that have been overtaken, with the number that the newest one of their session has.
    func overtaken(_ sockets: [SessionSocket]) async throws(StoreError) -> [SessionTakeUp]

    /// These sockets of this node are gone, and so is the time that their sessions had to come back. Notes when they
    /// were lost, and answers what is to be left: of a session that was taken up by a newer socket, nothing.
    func lapse(_ sockets: [LostSocket]) async throws(StoreError) -> [LapsedSession]

    /// The keys with which the nodes of this cluster sign session tokens, the newest first. Makes the first one.
    func signingKeys() async throws(StoreError) -> [SigningKey]
}
