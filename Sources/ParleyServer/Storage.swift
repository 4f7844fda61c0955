import Logging
import NIOConcurrencyHelpers
import ParleyCore
import ParleyMemory
import ServiceLifecycle

/// The store and the feed of a node, as the configuration asks for them.
struct Storage: Sendable {
    let store: any RoomStore
    let feed: any ChangeFeed
    /// Whether a request to the store would be answered now.
    let isReachable: @Sendable () async -> Bool
    /// Ends what `open` has begun.
    let close: @Sendable () async -> Void
    /// Where the feed learns which rooms are local: known only when the hub stands.
    let localRooms: LocalRooms

    /// Throws `StartFailure` when the store cannot be used.
    static func open(_ configuration: NodeConfiguration, logger: Logger) async throws -> Storage {
        switch configuration.store {
        case .memory:
            return Storage(
                store: MemoryRoomStore(), feed: MemoryFeed(), isReachable: { true }, close: {}, localRooms: LocalRooms()
            )
        case .postgres:
            throw StartFailure("not yet")
        }
    }

    func signingKey() async throws -> [UInt8] {
        do {
            return try await store.signingKey()
        } catch {
            throw StartFailure("the key of the session tokens cannot be read: \(error)")
        }
    }
}

/// The rooms that have a home on this node, once there is a hub to ask.
final class LocalRooms: Sendable {
    private let source = NIOLockedValueBox<@Sendable () -> [RoomNumber]>({ [] })

    func become(_ rooms: @escaping @Sendable () -> [RoomNumber]) { source.withLockedValue { $0 = rooms } }

    var current: [RoomNumber] { source.withLockedValue { $0 }() }
}

/// Closes the store when everything that uses it has ended: it is to be the first in the order of services.
struct StorageService: Service {
    let storage: Storage

    func run() async throws {
        try? await gracefulShutdown()
        await storage.close()
    }
}
