import ParleyGateway
import ParleyHub

/// The text of `/metrics`, in Prometheus's exposition format.
struct MetricsPage {
    let text: String

    init(gateway: Gateway, observation: Observation.Counters) {
        let metrics: [(name: String, kind: String, help: String, value: Int)] = [
            ("parley_sockets", "gauge", "WebSocket connections that are open.", gateway.socketCount),
            ("parley_rooms", "gauge", "Rooms with a subscription on this node.", gateway.hub.localRoomCount),
            (
                "parley_writer_waiting_bytes", "gauge", "Bytes of changes that wait for the database.",
                gateway.hub.bytesWaitingToBeWritten
            ),
            (
                "parley_subscriptions_fell_behind_total", "counter",
                "Times that updates were held back because a client was too slow.", observation.subscriptionsFellBehind
            ),
            (
                "parley_client_resets_total", "counter", "Fresh copies sent because a client was too far behind.",
                observation.clientResets
            ),
            (
                "parley_log_holes_total", "counter", "Rooms whose log no longer held what this node had not read.",
                observation.logHoles
            ),
        ]
        text = metrics.map { metric in
            """
            # HELP \(metric.name) \(metric.help)
            # TYPE \(metric.name) \(metric.kind)
            \(metric.name) \(metric.value)

            """
        }.joined()
    }
}
