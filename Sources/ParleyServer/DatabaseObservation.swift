import NIOConcurrencyHelpers
import ParleyPostgres

/// What this node has asked of the database since it started: by statement, how often, how long and how often in vain.
final class DatabaseObservation: ConnectionObserver {
    struct Statement {
        var count = 0
        var failures = 0
        /// From the call to the answer, the wait for the connection included.
        var seconds = 0.0
    }

    struct Figures {
        var statements: [String: Statement] = [:]
        var connections: [String: Int] = [:]
        /// How long the newest echo of an own notification took, seconds; nil before the first.
        var echoSeconds: Double?
        var echoesMissed = 0
        /// From 0 to 1; nil before it was looked at.
        var notificationQueueUsage: Double?
        var chunksPruned = 0
    }

    private let figures = NIOLockedValueBox(Figures())

    func connected(role: String, generation: Int, milliseconds: Double) {
        figures.withLockedValue { $0.connections[role, default: 0] += 1 }
    }

    func jobFinished(role: String, statement: String, milliseconds: Double, error: PostgresError?) {
        figures.withLockedValue { figures in
            figures.statements[statement, default: Statement()].count += 1
            figures.statements[statement]?.seconds += milliseconds / 1_000
            if error != nil { figures.statements[statement]?.failures += 1 }
        }
    }

    func echoed(milliseconds: Double) { figures.withLockedValue { $0.echoSeconds = milliseconds / 1_000 } }

    func deaf() { figures.withLockedValue { $0.echoesMissed += 1 } }

    func notificationQueue(usage: Double) { figures.withLockedValue { $0.notificationQueueUsage = usage } }

    func pruned(chunks: Int) { figures.withLockedValue { $0.chunksPruned += chunks } }

    var current: Figures { figures.withLockedValue { $0 } }
}
