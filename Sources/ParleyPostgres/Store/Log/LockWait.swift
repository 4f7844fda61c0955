internal import NIOConcurrencyHelpers

/// Keeps a session's `lock_timeout` to what `LockPatience` says, in the transaction that first needs it. Not behind a pooler,
/// where each transaction has a session of its own: there it stays as configured.
final class LockWait: Sendable {
    struct Change {
        var time: Duration
        var generation: Int
        /// To be run before the statement that waits.
        var steps: [(Statement, [Parameter])]
    }

    private struct State {
        var patience: LockPatience
        /// What the session of this connection has.
        var generation = 0
        var time: Duration
    }

    private let connection: PostgresConnection
    /// What each new session begins with.
    private let configured: Duration
    private let state: NIOLockedValueBox<State>

    init(_ connection: PostgresConnection, min: Duration, configured: Duration) {
        self.connection = connection
        self.configured = configured
        state = NIOLockedValueBox(State(patience: LockPatience(min: min, max: configured), time: configured))
    }

    func change(in generation: Int) -> Change {
        let (time, isNew) = state.withLockedValue { state in
            if state.generation != generation { (state.generation, state.time) = (generation, configured) }
            let time = connection.isPooled ? configured : state.patience.time
            return (time, time != state.time)
        }
        return Change(
            time: time, generation: generation,
            steps: isNew ? [(Self.statement, [.text("\(time.wholeMilliseconds)ms")])] : [])
    }

    /// Otherwise the session still has what it had.
    func committed(_ change: Change, after time: Duration) {
        state.withLockedValue { state in
            state.patience.took(time)
            if state.generation == change.generation { state.time = change.time }
        }
    }

    /// All of the session's settings are as on a new one.
    func restored() { state.withLockedValue { $0.time = configured } }

    private static let statement = Statement(
        name: "lock-timeout", sql: "SELECT set_config('lock_timeout', $1::text, false)")
}
