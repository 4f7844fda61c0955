import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ParleyCore
import ParleyGateway
import ParleyHub
import ParleyWebSocket
import ServiceLifecycle
import UnixSignals

/// One node: the one place where store, feed, hub and gateway are put together.
public enum Node {
    /// Serves until SIGTERM or SIGINT. Throws `StartFailure` when it cannot start.
    public static func run(_ configuration: NodeConfiguration) async throws {
        var logger = Logger(label: "parley")
        logger.logLevel = configuration.logLevel
        logger[metadataKey: "node"] = "\(configuration.nodeName)"
        NIOSingletons.groupLoopCountSuggestion = configuration.eventLoops
        let group = MultiThreadedEventLoopGroup.singleton

        let address = ListeningAddress(host: configuration.host, port: configuration.port)
        try await address.check(on: group)
        let storage = try await Storage.open(configuration, logger: logger)
        let observation = Observation()
        let hub = try await Hub.make(
            settings: hubSettings(configuration, storage.limits), store: storage.store, group: group, logger: logger,
            observer: { observation.record($0) })
        storage.localRooms.become { hub.localRooms }
        let gateway = Gateway(
            settings: gatewaySettings(configuration, storage.limits), hub: hub, keys: try await storage.signingKeys(),
            group: group,
            logger: logger)
        storage.onDeath {
            hub.giveUpAll()
            gateway.endSockets()
        }
        storage.onTimelineChange { gateway.timelineChanged() }
        let application = application(configuration, gateway: gateway, storage: storage, observation, group, logger)

        let services = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: StorageService(storage: storage)),
                    .init(service: HubService(hub: hub, gateway: gateway, feed: storage.feed)),
                    .init(service: application),
                    .init(
                        service: DrainService(
                            gateway: gateway, time: .milliseconds(configuration.drainMs), logger: logger)),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet(logger)))
        do {
            try await services.run()
        } catch {
            throw address.failure(error) ?? error
        }
    }

    private static func hubSettings(_ configuration: NodeConfiguration, _ limits: Limits) -> HubSettings {
        var settings = HubSettings()
        settings.limits = limits
        settings.tick = .milliseconds(Int64(configuration.tickMs))
        settings.patience = .milliseconds(Int64(configuration.requestTimeoutMs))
        settings.framed = { WebSocketFrame.text($0) }
        return settings
    }

    private static func gatewaySettings(_ configuration: NodeConfiguration, _ limits: Limits) -> GatewaySettings {
        var settings = GatewaySettings(nodeName: configuration.nodeName)
        settings.limits = limits
        settings.grace = .milliseconds(Int64(configuration.graceMs))
        settings.patience = .milliseconds(Int64(configuration.requestTimeoutMs))
        settings.session = .milliseconds(Int64(configuration.sessionMs))
        settings.socketsMax = configuration.socketsMax
        settings.drainSpread = .milliseconds(Int64(min(configuration.drainSpreadMs, configuration.drainMs / 2)))
        if configuration.store == .postgres, configuration.feed == .poll { settings.takeUpWatch = takeUpPoll }
        return settings
    }

    /// Without announcements this is how soon a client's older socket is closed.
    private static let takeUpPoll = TimeAmount.seconds(2)

    private static func application(
        _ configuration: NodeConfiguration, gateway: Gateway, storage: Storage, _ observation: Observation,
        _ group: any EventLoopGroup, _ logger: Logger
    ) -> some Service {
        let routes = HTTPRoutes(
            gateway: gateway, isStoreReachable: storage.isReachable,
            metrics: {
                MetricsPage(gateway: gateway, hub: observation.current, database: storage.observation?.current).text
            }, console: console(configuration, gateway: gateway, storage: storage, observation))
        return Application(
            router: routes.router(),
            server: HTTPServerBuilder { GatewayChannel(gateway: gateway, responder: $0) },
            configuration: .init(address: .hostname(configuration.host, port: configuration.port)),
            onServerRunning: { channel in
                logger.info(
                    "serving", metadata: ["address": "\(channel.localAddress.map(String.init(describing:)) ?? "?")"])
            },
            eventLoopGroupProvider: .shared(group), logger: quiet(logger))
    }

    private static func console(
        _ configuration: NodeConfiguration, gateway: Gateway, storage: Storage, _ observation: Observation
    ) -> Console {
        let startedAt = ContinuousClock.now
        let watch = ConsoleWatch(store: storage.store) {
            observation.busiest(ConsoleWatch.roomsMax, of: gateway.hub.localRooms)
        }
        return Console(access: configuration.console.access) {
            let (sight, counters) = (await watch.current(), observation.current)
            let own = ConsoleState.Own(
                uptimeMs: Int64(startedAt.duration(to: .now) / .milliseconds(1)), sockets: gateway.socketCount,
                rooms: gateway.hub.localRoomCount, changes: counters.changesWritten, batches: counters.batches,
                updates: counters.updates, waitingBytes: gateway.hub.bytesWaitingToBeWritten,
                waits: counters.waits.counts)
            return ConsoleState(
                node: configuration.nodeName, version: parleyVersion, own: own, isReachable: storage.isReachable(),
                database: storage.observation?.current, sight: sight
            ).json
        }
    }

    /// Libraries report each step of theirs; ours are enough.
    private static func quiet(_ logger: Logger) -> Logger {
        var logger = logger
        logger.logLevel = max(logger.logLevel, .warning)
        return logger
    }
}
