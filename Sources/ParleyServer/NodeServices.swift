import Logging
import ParleyCore
import ParleyGateway
import ParleyHub
import ServiceLifecycle

/// The loops of the hub and of the gateway, and the feed, for as long as the node runs. They go on through a graceful
/// shutdown, so that what clients have sent is written and delivered, and end with the services above them.
struct HubService: Service {
    let hub: Hub
    let gateway: Gateway
    let feed: any ChangeFeed

    func run() async throws {
        await withDiscardingTaskGroup { group in
            group.addTask { await hub.run() }
            group.addTask { await gateway.run() }
            group.addTask {
                await feed.run { event in
                    hub.received(event)
                    gateway.received(event)
                }
            }
            // Throws when this task is cancelled, and then too it is time to end.
            try? await gracefulShutdown()
            group.cancelAll()
        }
    }
}

/// At the graceful shutdown, tells the clients to go on elsewhere and gives their sockets time to close, and what they
/// have sent time to be written.
struct DrainService: Service {
    let gateway: Gateway
    let time: Duration
    let logger: Logger

    /// Before it is looked again whether all is done.
    private static let beat = Duration.milliseconds(20)

    func run() async throws {
        // Throws when this task is cancelled: then clients are told all the same, and the first sleep below ends it.
        try? await gracefulShutdown()
        logger.info("draining", metadata: ["sockets": "\(gateway.socketCount)"])
        gateway.drain()
        let end = ContinuousClock.now + time
        while gateway.socketCount > 0 || gateway.hub.bytesWaitingToBeWritten > 0, ContinuousClock.now < end {
            // Cancelled: whoever did that does not want to wait.
            do { try await Task.sleep(for: Self.beat) } catch { return }
        }
    }
}
