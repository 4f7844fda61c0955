import DequeModule
import NIOConcurrencyHelpers

/// What one reader has still to take of a room. Beyond a bound it asks the client to pause, and the log keeps the rest.
final class RoomFeed: Sendable {
    /// Changes that wait before the client is asked to pause.
    static let changesMax = 4_096

    private struct State {
        var events: Deque<RoomEvent> = []
        /// Of the event taken last, what `nextChange` has still to give; it outlives the loop that it was taken in.
        var rest: Deque<Change> = []
        /// In `events`.
        var changes = 0
        var isPaused = false
        var hasEnded = false
        var reader: CheckedContinuation<RoomEvent?, Never>?
    }

    private let state = NIOLockedValueBox(State())
    private let pause: @Sendable (Bool) -> Void

    init(pause: @escaping @Sendable (Bool) -> Void) { self.pause = pause }

    func add(_ event: RoomEvent) {
        let (reader, pauses) = state.withLockedValue { state -> (CheckedContinuation<RoomEvent?, Never>?, Bool) in
            if case .ended = event { state.hasEnded = true }
            if let reader = state.reader.take() { return (reader, false) }
            state.events.append(event)
            state.changes += event.changes
            guard !state.isPaused, state.changes >= Self.changesMax else { return (nil, false) }
            state.isPaused = true
            return (nil, true)
        }
        if pauses { pause(true) }
        reader?.resume(returning: event)
    }

    /// nil after the end, and when the task is cancelled.
    func next() async -> RoomEvent? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in take(continuation) }
        } onCancel: {
            state.withLockedValue { $0.reader.take() }?.resume(returning: nil)
        }
    }

    /// Of the events, the changes alone.
    func nextChange() async -> Change? {
        while true {
            if let change = state.withLockedValue({ $0.rest.popFirst() }) { return change }
            let changes: [Change]
            switch await next() {
            case nil, .ended?: return nil
            case .joined(let state)?, .reset(let state)?: changes = state.changes
            case .changes(let some)?: changes = some
            case .members?: changes = []
            }
            state.withLockedValue { $0.rest = Deque(changes) }
        }
    }

    private func take(_ continuation: CheckedContinuation<RoomEvent?, Never>) {
        let (event, isReady, resumes) = state.withLockedValue { state -> (RoomEvent?, Bool, Bool) in
            guard let event = state.events.popFirst() else {
                if state.hasEnded || Task.isCancelled { return (nil, true, false) }
                precondition(state.reader == nil, "a room's events have one reader")
                state.reader = continuation
                return (nil, false, false)
            }
            state.changes -= event.changes
            let resumes = state.isPaused && state.changes <= Self.changesMax / 2
            if resumes { state.isPaused = false }
            return (event, true, resumes)
        }
        if resumes { pause(false) }
        if isReady { continuation.resume(returning: event) }
    }
}

extension RoomEvent {
    fileprivate var changes: Int {
        switch self {
        case .joined(let state), .reset(let state): state.changes.count
        case .changes(let changes): changes.count
        // Counted too, so that they have a bound.
        case .members, .ended: 1
        }
    }
}

/// See `ClientRoom.events`.
public struct RoomEvents: AsyncSequence, AsyncIteratorProtocol, Sendable {
    let feed: RoomFeed

    public func makeAsyncIterator() -> RoomEvents { self }
    public mutating func next() async -> RoomEvent? { await feed.next() }
}

/// See `ClientRoom.changes`.
public struct RoomChanges: AsyncSequence, AsyncIteratorProtocol, Sendable {
    let feed: RoomFeed

    public func makeAsyncIterator() -> RoomChanges { self }
    public mutating func next() async -> Change? { await feed.nextChange() }
}
