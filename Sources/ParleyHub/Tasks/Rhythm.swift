import NIOCore

/// Spaces out what costs the same however much it carries: the first at once, the following no more often than the
/// interval, from start to start, and each followed by a rest twice as long as it took. A transaction, a notification
/// and a read cost everybody far more than what one message adds to them; so under load they are few and full, while a
/// quiet node waits for nothing. The rest lets machines at their limit recover: what takes long because all are busy
/// happens less often, and carries more.
struct Rhythm {
    private static let restShare: Int64 = 2
    /// The longest rest, in intervals: what takes long because the database is far away loses no more than this by it.
    private static let restMax: Int64 = 2

    private let interval: TimeAmount
    private var started: NIODeadline?
    private var next: NIODeadline?

    init(_ interval: TimeAmount) { self.interval = interval }

    /// How long the one waits that is wanted at `now`; it is taken to start then.
    mutating func start(at now: NIODeadline) -> TimeAmount {
        let start = max(now, next ?? now)
        started = start
        next = start + interval
        return start - now
    }

    /// The one that was started last is done.
    mutating func end(at now: NIODeadline) {
        guard let started, let earliest = next else { return }
        let rest = min((now - started) * Self.restShare, interval * Self.restMax)
        next = max(earliest, now + rest)
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
