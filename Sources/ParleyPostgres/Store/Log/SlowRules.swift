internal import NIOConcurrencyHelpers
internal import ParleyCore

/// Rooms whose rule has taken long: they are asked on a way of their own, so that nobody waits for them.
final class SlowRules: Sendable {
    private let until = NIOLockedValueBox<[RoomNumber: ContinuousClock.Instant]>([:])

    /// How long a room goes that way before it is tried again with the others.
    private static let time = Duration.seconds(30)

    func contains(_ room: RoomNumber) -> Bool {
        until.withLockedValue { until in
            guard let end = until[room] else { return false }
            guard end < .now else { return true }
            until[room] = nil
            return false
        }
    }

    func add(_ room: RoomNumber) {
        let now = ContinuousClock.now
        until.withLockedValue { until in
            // Rooms that nobody asks for any more.
            until = until.filter { $0.value > now }
            until[room] = now + Self.time
        }
    }
}
