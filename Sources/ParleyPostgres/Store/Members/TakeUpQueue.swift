internal import ParleyCore

/// A new socket that waits to have its session.
struct TakeUpRequest: Sendable {
    enum Outcome: Sendable, Equatable {
        /// By the socket of this number.
        case taken(Int64)
        case over
        /// A newer socket goes on, of which the client has heard, or which was opened later.
        case stale
    }

    typealias Answer = Result<Outcome, StoreError>

    let session: SessionIdentity
    let shown: Int64?
    /// Between what times the socket was opened, by the database's clock, milliseconds since 1970; nil when that is not
    /// known.
    let openedMs: ClosedRange<Int64>?
    let endedWithin: Duration?
    let isWanted: @Sendable () -> Bool
    let deadline: ContinuousClock.Instant
    let waiter: CheckedContinuation<Answer, Never>

    func answer(_ answer: Answer) { waiter.resume(returning: answer) }
}

/// Sessions to be taken up by the next statement: a batch has each session once, and in the order in which they came.
struct TakeUpQueue {
    static let batchMax = 512
    static let lengthMax = 16_384

    private var waiting: [TakeUpRequest] = []

    /// False when there is no room for it.
    mutating func add(_ request: TakeUpRequest) -> Bool {
        guard waiting.count < Self.lengthMax else { return false }
        waiting.append(request)
        return true
    }

    mutating func nextBatch() -> [TakeUpRequest] {
        var batch: [TakeUpRequest] = []
        var sessions: Set<SessionKey> = []
        var rest: [TakeUpRequest] = []
        for request in waiting {
            if batch.count < Self.batchMax, sessions.insert(request.session.key).inserted {
                batch.append(request)
            } else {
                rest.append(request)
            }
        }
        waiting = rest
        return batch
    }

    /// Takes out those whose time is over.
    mutating func expire(at now: ContinuousClock.Instant) -> [TakeUpRequest] {
        guard waiting.contains(where: { $0.deadline <= now }) else { return [] }
        let late = waiting.filter { $0.deadline <= now }
        waiting.removeAll { $0.deadline <= now }
        return late
    }
}
