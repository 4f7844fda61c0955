public import ParleyCore

/// Asks the database at a fixed rhythm where the local rooms stand. For comparison, and for databases that are reached
/// only through a pooler without LISTEN.
public struct PollFeed: ChangeFeed {
    private let store: PostgresRoomStore
    private let interval: Duration
    private let localRooms: @Sendable () -> [RoomNumber]

    /// - Parameter localRooms: Those with members on this node. Called from any thread.
    public init(
        store: PostgresRoomStore, every interval: Duration = .milliseconds(500),
        localRooms: @escaping @Sendable () -> [RoomNumber]
    ) {
        self.store = store
        self.interval = interval
        self.localRooms = localRooms
    }

    public func run(_ sink: @escaping @Sendable (FeedEvent) -> Void) async {
        store.onRemoved { sink(.ended($0)) }
        var next = ContinuousClock.now
        while !Task.isCancelled {
            await HeadPages(store: store, rooms: localRooms()).send(to: sink)
            // A poll that took too long is not made up for.
            next = max(next + interval, .now)
            do { try await Task.sleep(until: next) } catch { return }
        }
    }
}
