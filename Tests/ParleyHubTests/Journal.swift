import NIOConcurrencyHelpers

/// What happened so far, and a way to wait until enough has.
final class Journal<Entry: Sendable>: Sendable {
    private struct State {
        var entries: [Entry] = []
        var waiting: [(isEnough: @Sendable ([Entry]) -> Bool, continuation: CheckedContinuation<[Entry], Never>)] = []
        var isOver = false
    }

    private let state = NIOLockedValueBox(State())

    var entries: [Entry] { state.withLockedValue(\.entries) }

    func append(_ entry: Entry) {
        let (entries, done) = state.withLockedValue { state in
            state.entries.append(entry)
            let entries = state.entries
            let done = state.waiting.filter { $0.isEnough(entries) }
            state.waiting.removeAll { $0.isEnough(entries) }
            return (entries, done)
        }
        for waiter in done { waiter.continuation.resume(returning: entries) }
    }

    /// Returns all entries as soon as they are enough, or when the test's time is up.
    @discardableResult
    func wait(_ isEnough: @escaping @Sendable ([Entry]) -> Bool) async -> [Entry] {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let entries = state.withLockedValue { state -> [Entry]? in
                    if state.isOver || isEnough(state.entries) { return state.entries }
                    state.waiting.append((isEnough, continuation))
                    return nil
                }
                if let entries { continuation.resume(returning: entries) }
            }
        } onCancel: {
            let (entries, waiting) = state.withLockedValue { state in
                state.isOver = true
                defer { state.waiting = [] }
                return (state.entries, state.waiting)
            }
            for waiter in waiting { waiter.continuation.resume(returning: entries) }
        }
    }
}
