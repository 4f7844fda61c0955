import NIOConcurrencyHelpers
import ParleyCore

/// The rooms that have a home on this node, once there is a hub to ask.
final class LocalRooms: Sendable {
    /// A function by itself in a locked box is wrapped once more by each access, and needs more stack each time.
    private struct Source {
        var rooms: @Sendable () -> [RoomNumber]
    }

    private let source = NIOLockedValueBox(Source { [] })

    func become(_ rooms: @escaping @Sendable () -> [RoomNumber]) { source.withLockedValue { $0.rooms = rooms } }

    var current: [RoomNumber] { source.withLockedValue { $0 }.rooms() }
}
