internal import NIOConcurrencyHelpers

/// What others may know of a connection whose thread does the work.
final class ConnectionStatus: Sendable {
    private enum Phase {
        case new
        case running
        case ended
    }

    private struct State {
        var phase = Phase.new
        var generation: Int?
        var isPooled = false
        var lastError: PostgresError?
        var awaitingEnd: [CheckedContinuation<Void, Never>] = []
    }

    private let state = NIOLockedValueBox(State())

    var generation: Int? { state.withLockedValue { $0.generation } }
    /// Of the last attempt to connect; nil once one has succeeded.
    var lastError: PostgresError? { state.withLockedValue { $0.lastError } }

    /// True once.
    func begin() -> Bool {
        state.withLockedValue { state in
            guard state.phase == .new else { return false }
            state.phase = .running
            return true
        }
    }

    var isPooled: Bool { state.withLockedValue { $0.isPooled } }

    func connected(generation: Int, isPooled: Bool = false) {
        state.withLockedValue {
            $0.generation = generation
            $0.isPooled = isPooled
            $0.lastError = nil
        }
    }

    func disconnected() { state.withLockedValue { $0.generation = nil } }

    func failed(_ error: PostgresError) { state.withLockedValue { $0.lastError = error } }

    /// The thread has ended, or will never begin.
    func ended() {
        let awaiting = state.withLockedValue { state in
            state.phase = .ended
            state.generation = nil
            defer { state.awaitingEnd = [] }
            return state.awaitingEnd
        }
        for continuation in awaiting { continuation.resume() }
    }

    func awaitEnd() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLockedValue { state in
                guard state.phase != .ended else { return true }
                state.awaitingEnd.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }
}
