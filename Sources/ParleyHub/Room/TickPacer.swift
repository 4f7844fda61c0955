package import NIOCore

/// When a room may speak: the first word after a quiet tick at once, then at most once per tick.
package struct TickPacer {
    package enum Decision: Equatable {
        case now
        /// A flush is to be scheduled after this time.
        case after(TimeAmount)
        /// One is scheduled already.
        case scheduled
    }

    private let tick: TimeAmount
    private var last: NIODeadline?
    private var isScheduled = false

    package init(tick: TimeAmount) { self.tick = tick }

    /// There is something to say.
    package mutating func wanted(at now: NIODeadline) -> Decision {
        if isScheduled { return .scheduled }
        guard let last, now < last + tick else {
            self.last = now
            return .now
        }
        isScheduled = true
        return .after(last + tick - now)
    }

    /// The scheduled time has come.
    package mutating func due(at now: NIODeadline) {
        isScheduled = false
        last = now
    }
}
