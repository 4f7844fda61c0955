import ParleyGateway
import ParleyHub

/// The text of `/metrics`, in Prometheus's exposition format.
struct MetricsPage {
    private enum Kind: String { case gauge, counter, histogram }

    private(set) var text = ""

    /// - Parameter database: nil when there is none.
    init(gateway: Gateway, hub: Observation.Counters, database: DatabaseObservation.Figures?) {
        add("parley_sockets", .gauge, "WebSocket connections that are open.", gateway.socketCount)
        add("parley_rooms", .gauge, "Rooms with a subscription on this node.", gateway.hub.localRoomCount)
        add(
            "parley_writer_waiting_bytes", .gauge, "Bytes of changes that wait for the database.",
            gateway.hub.bytesWaitingToBeWritten)
        add("parley_batches_written_total", .counter, "Batches of changes made durable by this node.", hub.batches)
        add("parley_changes_written_total", .counter, "Changes made durable by this node.", hub.changesWritten)
        add("parley_write_seconds", "From the coming of a change until it was durable.", hub.waits)
        add(
            "parley_log_rows_read_total", .counter, "Rows of the log read for what other nodes wrote.", hub.runsRead)
        add(
            "parley_updates_total", .counter, "Updates made: one for each room and tick, however many members get it.",
            hub.updates)
        add(
            "parley_subscriptions_fell_behind_total", .counter,
            "Times that updates were held back because a client was too slow.", hub.subscriptionsFellBehind)
        add(
            "parley_client_resets_total", .counter, "Fresh copies sent because a client was too far behind.",
            hub.clientResets)
        add(
            "parley_members_moved_total", .counter,
            "Members that another node had taken over, found out when a batch was turned away.", hub.membersMoved)
        add(
            "parley_log_holes_total", .counter, "Rooms whose log no longer held what this node had not read.",
            hub.logHoles)
        if let database { add(database) }
    }

    private mutating func add(_ database: DatabaseObservation.Figures) {
        let statements = database.statements.sorted { $0.key < $1.key }
        add(
            "parley_database_requests_total", .counter, "Requests to the database that have ended, by statement.",
            "statement", statements.map { ($0.key, $0.value.count.description) })
        add(
            "parley_database_request_failures_total", .counter, "Those of them that ended in an error.",
            "statement", statements.map { ($0.key, $0.value.failures.description) })
        add(
            "parley_database_request_seconds_total", .counter, "Time that they took, waits included.",
            "statement", statements.map { ($0.key, $0.value.seconds.description) })
        add(
            "parley_log_chunks_pruned_total", .counter,
            "Parts of the log, each of one room and batch, that this node has removed because they were over.",
            database.chunksPruned)
        add(
            "parley_echoes_missed_total", .counter,
            "Notifications of this node to itself that did not come back: those of others do not come either.",
            database.echoesMissed)
        if let seconds = database.echoSeconds {
            add("parley_echo_seconds", .gauge, "How long the newest of them took.", seconds)
        }
        if let usage = database.notificationQueueUsage {
            add(
                "parley_notification_queue_usage", .gauge, "How full PostgreSQL's queue of notifications is, 0 to 1.",
                usage)
        }
        add(
            "parley_database_connections_total", .counter, "Connections made, by role.",
            "role", database.connections.sorted { $0.key < $1.key }.map { ($0.key, $0.value.description) })
    }

    private mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: some Numeric & Sendable) {
        describe(name, kind, help)
        text += "\(name) \(value)\n"
    }

    /// The values of the label are names that Parley gave: they need no escapes.
    private mutating func add(
        _ name: String, _ kind: Kind, _ help: String, _ label: String, _ values: [(String, String)]
    ) {
        guard !values.isEmpty else { return }
        describe(name, kind, help)
        for (labelValue, value) in values { text += "\(name){\(label)=\"\(labelValue)\"} \(value)\n" }
    }

    private mutating func add(_ name: String, _ help: String, _ waits: WaitHistogram) {
        describe(name, .histogram, help)
        var count = 0
        for (bound, inClass) in zip(WaitHistogram.boundsMs, waits.counts) {
            count += inClass
            text += "\(name)_bucket{le=\"\(Double(bound) / 1_000)\"} \(count)\n"
        }
        text += "\(name)_bucket{le=\"+Inf\"} \(waits.count)\n"
        text += "\(name)_sum \(waits.seconds)\n\(name)_count \(waits.count)\n"
    }

    private mutating func describe(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
    }
}
