internal import Logging
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

/// Where rooms stand, read a page at a time.
struct HeadPages {
    static let roomsMax = 1_000

    let store: PostgresRoomStore
    let rooms: [RoomNumber]

    /// What cannot be read now is left to the next time.
    func send(to sink: @Sendable (FeedEvent) -> Void) async {
        var rest = rooms[...]
        while !rest.isEmpty, !Task.isCancelled {
            let page = Array(rest.prefix(Self.roomsMax))
            rest = rest.dropFirst(page.count)
            do throws(StoreError) {
                let heads = try await store.heads(of: page)
                if !heads.isEmpty { sink(.pointers(heads)) }
                // A room that was closed is not there any more, should nobody have said so.
                let gone = Set(page).subtracting(heads.map(\.room))
                if !gone.isEmpty { sink(.ended(gone.map { EndedMembership(room: $0, claim: .max) })) }
            } catch {
                return store.logger.debug("could not compare rooms", metadata: ["error": "\(error)"])
            }
        }
    }
}
