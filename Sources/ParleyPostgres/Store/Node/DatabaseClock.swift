internal import NIOConcurrencyHelpers

/// What the database's clock shows, reckoned from heartbeats: the one clock that all nodes can tell each other times
/// by.
final class DatabaseClock: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// A heartbeat that took longer says too little.
    static let roundTripMax = Duration.milliseconds(500)

    private struct Reading {
        var at: Instant
        var milliseconds: Int64
        /// How far from the truth that may be, milliseconds.
        var error: Int64
    }

    private let reading = NIOLockedValueBox<Reading?>(nil)

    /// The database, asked at `sent`, said `milliseconds` since 1970, and the answer came at `received`.
    func read(_ milliseconds: Int64, sent: Instant, received: Instant) {
        let half = (received - sent) / 2
        guard half * 2 <= Self.roundTripMax else { return }
        // Three for what was cut off: of the time itself, of the half, and of what is reckoned from it.
        let new = Reading(at: sent + half, milliseconds: milliseconds, error: half.wholeMilliseconds + 3)
        reading.withLockedValue { $0 = new }
    }

    /// The bounds between which the clock showed the instant, milliseconds since 1970; nil before the first heartbeat.
    func milliseconds(at instant: Instant) -> ClosedRange<Int64>? {
        reading.withLockedValue { $0 }.map { reading in
            let middle = reading.milliseconds + (instant - reading.at).wholeMilliseconds
            return middle - reading.error...middle + reading.error
        }
    }
}
