import Logging
import NIOConcurrencyHelpers
import ParleyCore
import ParleyMemory
import ParleyPostgres
import ParleySchema
import ServiceLifecycle

/// The store and the feed of a node, as the configuration asks for them.
struct Storage: Sendable {
    let store: any RoomStore & OverviewStore
    let feed: any ChangeFeed
    /// Whether a request to the store would be answered now.
    let isReachable: @Sendable () -> Bool
    /// Sets who is told when other nodes have declared this one dead.
    let onDeath: @Sendable (@escaping @Sendable () -> Void) -> Void
    /// Sets who is told when the database goes on with another timeline.
    let onTimelineChange: @Sendable (@escaping @Sendable () -> Void) -> Void
    /// What the configuration says, and the database.
    let limits: Limits
    /// nil when there is no database.
    let observation: DatabaseObservation?
    /// Ends what `open` has begun.
    let close: @Sendable () async -> Void
    /// Where the feed learns which rooms are local: known only when the hub stands.
    let localRooms: LocalRooms

    /// Throws `StartFailure` when the store cannot be used.
    static func open(_ configuration: NodeConfiguration, logger: Logger) async throws -> Storage {
        switch configuration.store {
        case .memory:
            return Storage(
                store: MemoryRoomStore(), feed: MemoryFeed(), isReachable: { true }, onDeath: { _ in },
                onTimelineChange: { _ in }, limits: configuration.limits, observation: nil, close: {},
                localRooms: LocalRooms())
        case .postgres:
            do throws(SchemaError) {
                return try await openPostgres(configuration, logger: logger)
            } catch {
                throw StartFailure(error.description)
            }
        }
    }

    private static func openPostgres(
        _ configuration: NodeConfiguration, logger: Logger
    ) async throws(SchemaError) -> Storage {
        let url = configuration.databaseURL ?? ""
        if configuration.migrates {
            try await Migrator(url: url, version: parleyVersion, logger: logger).migrate()
        }
        var settings = StoreConfiguration(
            url: url, nodeName: configuration.nodeName, nodeAddress: "\(configuration.host):\(configuration.port)",
            version: parleyVersion)
        settings.listenURL = configuration.listenURL
        settings.lease = .milliseconds(configuration.leaseMs)
        // Who hears of the database less often than twice in a lease may declare nobody dead.
        settings.heartbeatEvery = min(settings.heartbeatEvery, settings.lease / 5)
        // As long as a writer that cannot reach the database counts as alive, it may have to read back what it wrote.
        settings.pruneAgeMin = max(settings.pruneAgeMin, settings.lease * 2)
        settings.grace = .milliseconds(configuration.graceMs)
        settings.requestTimeout = .milliseconds(configuration.requestTimeoutMs)
        settings.announce = configuration.feed == .notify
        let observation = DatabaseObservation()
        let store = PostgresRoomStore(configuration: settings, logger: logger, observer: observation)
        try await store.start()
        var limits = configuration.limits
        do throws(StoreError) {
            limits.valuesBytes = try await store.valuesBytesMax()
        } catch {
            throw .unreachable(reason: "the settings of the database cannot be read: \(error)")
        }
        let localRooms = LocalRooms()
        let feed: any ChangeFeed =
            switch configuration.feed {
            case .notify: NotifyFeed(store: store, observer: observation) { localRooms.current }
            case .poll: PollFeed(store: store, every: .milliseconds(configuration.pollMs)) { localRooms.current }
            }
        return Storage(
            store: store, feed: feed, isReachable: { store.isReachable }, onDeath: { store.onDeath($0) },
            onTimelineChange: { store.onTimelineChange($0) }, limits: limits, observation: observation,
            close: { await store.close() }, localRooms: localRooms)
    }

    func signingKeys() async throws -> [SigningKey] {
        do {
            return try await store.signingKeys()
        } catch {
            throw StartFailure("the keys of the session tokens cannot be read: \(error)")
        }
    }
}

/// Closes the store when everything that uses it has ended: it is to be the first in the order of services.
struct StorageService: Service {
    let storage: Storage

    func run() async throws {
        // Throws when this task is cancelled, and then too the store is to be closed.
        try? await gracefulShutdown()
        await storage.close()
    }
}
