internal import Logging
internal import NIOConcurrencyHelpers

/// Cancel requests block, and a server that hangs may hold them for long: each has a thread of its own, and their
/// number is bounded. One that is not sent costs its connection, once the grace of the job is over.
struct CancelThreads {
    static let countMax = 2

    private let count = NIOLockedValueBox(0)

    /// False when it is not sent; otherwise `returned` is called from another thread.
    func send(_ request: CancelRequest?, _ logger: Logger, returned: @escaping @Sendable () -> Void) -> Bool {
        guard let request, enter() else { return false }
        let count = count
        let isStarted = ConnectionThread.start(name: "pg-cancel") {
            if let failure = request.send() {
                logger.warning("a cancel request to PostgreSQL failed: \(failure)")
            }
            count.withLockedValue { $0 -= 1 }
            returned()
        }
        if !isStarted { count.withLockedValue { $0 -= 1 } }
        return isStarted
    }

    private func enter() -> Bool {
        count.withLockedValue { count in
            guard count < Self.countMax else { return false }
            count += 1
            return true
        }
    }
}
