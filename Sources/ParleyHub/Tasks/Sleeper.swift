import NIOConcurrencyHelpers

/// Where one task sleeps until others have work for it. A wake-up that comes too early is not lost: it ends the next
/// sleep at once, so that the task may look for work, find none, and go to sleep without a lock around all that.
package final class Sleeper: Sendable {
    private enum State {
        case awake
        case asleep(CheckedContinuation<Void, Never>)
        /// Somebody called while the task was awake.
        case called
    }

    private let state = NIOLockedValueBox(State.awake)

    package init() {}

    /// Returns when `wake` is called, or was since the last sleep, or when the task is cancelled. The caller must look
    /// whether there is work still. Called by one task at a time.
    package func sleep() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let wasCalled = state.withLockedValue { state in
                    if case .called = state {
                        state = .awake
                        return true
                    }
                    state = .asleep(continuation)
                    return false
                }
                if wasCalled { continuation.resume() }
            }
        } onCancel: {
            wake()
        }
    }

    /// From any thread.
    package func wake() {
        let sleeping = state.withLockedValue { state -> CheckedContinuation<Void, Never>? in
            guard case .asleep(let continuation) = state else {
                state = .called
                return nil
            }
            state = .awake
            return continuation
        }
        sleeping?.resume()
    }
}
