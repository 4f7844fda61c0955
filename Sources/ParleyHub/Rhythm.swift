import NIOCore

/// Spaces out what costs the same however much it carries: the first at once, the following no more often than the
/// interval, from start to start. A transaction, a notification and a read cost everybody far more than what one message
/// adds to them; so under load they are few and full, while a quiet node waits for nothing.
struct Rhythm {
    private let interval: TimeAmount
    private var next: NIODeadline?

    init(_ interval: TimeAmount) { self.interval = interval }

    /// How long the one waits that is wanted at `now`; it is taken to start then.
    mutating func start(at now: NIODeadline) -> TimeAmount {
        let start = max(now, next ?? now)
        next = start + interval
        return start - now
    }

    /// Returns when the next one may start.
    mutating func wait(on loop: any EventLoop) async {
        let pause = start(at: .now())
        guard pause > .zero else { return }
        await withCheckedContinuation { continuation in
            _ = loop.scheduleTask(in: pause) { continuation.resume() }
        }
    }
}
