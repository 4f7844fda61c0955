internal import NIOConcurrencyHelpers
internal import ParleyCore

/// Rooms whose rule has taken long: they are asked on a way of their own, so that nobody waits for them.
final class SlowRules: Sendable {
    private struct Stay {
        var until: ContinuousClock.Instant
        var length: Duration
    }

    private let stays = NIOLockedValueBox<[RoomNumber: Stay]>([:])

    /// How long a room goes that way before it is tried again with the others; twice as long whenever it is slow again, for
    /// each trial is at their cost.
    private static let lengthMin = Duration.seconds(30)
    private static let lengthMax = Duration.seconds(960)

    func contains(_ room: RoomNumber, at now: ContinuousClock.Instant = .now) -> Bool {
        stays.withLockedValue { $0[room].map { $0.until > now } ?? false }
    }

    func add(_ room: RoomNumber, at now: ContinuousClock.Instant = .now) {
        stays.withLockedValue { stays in
            // Rooms that nobody asks for any more, or that have been quick for as long as they were away.
            stays = stays.filter { $0.value.until + $0.value.length > now }
            guard let last = stays[room] else {
                stays[room] = Stay(until: now + Self.lengthMin, length: Self.lengthMin)
                return
            }
            // While it is away it is no news that it is slow.
            guard last.until <= now else { return }
            let length = min(last.length * 2, Self.lengthMax)
            stays[room] = Stay(until: now + length, length: length)
        }
    }
}
