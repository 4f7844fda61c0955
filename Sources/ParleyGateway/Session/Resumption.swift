import ParleyCore
import ParleyHub

/// A session on its way to a new socket: what older sockets of this node have under way comes to its end first, then
/// the store is told.
///
/// Both go on when the socket ends meanwhile, so that a socket which comes after it can wait for them: what the log
/// says of the session's ids is final only then, and sockets of one node get their numbers in the order in which they
/// came.
struct Resumption: Sendable {
    let session: SessionIdentity
    private let older: Task<SessionDirectory.Places, Never>
    private let takingUp: Task<Result<TakenUp?, StoreError>, Never>

    /// - Parameters:
    ///   - shown, openedAt, endedWithin, isWanted: As the store wants it.
    ///   - older: Ends the socket that had the session here, if there is one.
    init(
        _ session: SessionIdentity, shown: Int64, openedAt: ContinuousClock.Instant, endedWithin: Duration?,
        older: SessionDirectory.Displace?, hub: Hub, isWanted: @escaping @Sendable () -> Bool
    ) {
        self.session = session
        let ending = Task { await older?() ?? [] }
        self.older = ending
        takingUp = Task {
            await hub.evict(await ending.value)
            guard isWanted() else { return .failure(.unavailable(reason: "the socket has ended")) }
            do throws(StoreError) {
                return .success(
                    try await hub.store.takeUp(
                        session, shown: shown, openedAt: openedAt, endedWithin: endedWithin, isWanted: isWanted))
            } catch {
                return .failure(error)
            }
        }
    }

    /// nil when the session is over.
    var takenUp: Result<TakenUp?, StoreError> {
        get async { await takingUp.value }
    }

    /// What the older socket had in the hub: of one that has no session yet, all there is to hand on to a still newer one.
    /// Known once nothing of this resumption is under way.
    var inherited: SessionDirectory.Places {
        get async {
            _ = await takingUp.value
            return await older.value
        }
    }
}
