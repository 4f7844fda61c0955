internal import Logging
internal import NIOConcurrencyHelpers

/// Sees to it that notifications really arrive, and that PostgreSQL's queue of them does not fill up.
///
/// A pooler in transaction mode takes LISTEN and delivers nothing; a foreign session that listens inside an open
/// transaction holds the queue, and a full one fails every NOTIFY. Neither loses anything here, since a heartbeat finds
/// what was not announced, but both cost latency until somebody mends them; so they are named.
final class FeedEar: Sendable {
    /// How much of the queue may be in use before it is worth a warning, and below which it is well again.
    static let queueUsageMax = 0.25

    private let store: PostgresRoomStore
    private let connection: @Sendable () -> NotificationConnection?
    private let observer: (any ConnectionObserver)?
    private let state: NIOLockedValueBox<State>

    private struct State {
        var echo: EchoWatch
        var isQueueFilling = false
    }

    /// How often to look at the clock.
    private static let step = Duration.milliseconds(500)

    init(
        store: PostgresRoomStore, observer: (any ConnectionObserver)?,
        connection: @escaping @Sendable () -> NotificationConnection?
    ) {
        self.store = store
        self.observer = observer
        self.connection = connection
        self.state = NIOLockedValueBox(State(echo: EchoWatch(at: .now)))
    }

    func listening() { state.withLockedValue { $0.echo.listening(at: .now) } }

    /// A notification of this node's own has come.
    func heardOwn() {
        let (delay, recovered) = state.withLockedValue { $0.echo.heard(at: .now) }
        if let delay { observer?.echoed(milliseconds: delay.milliseconds) }
        if recovered { store.logger.notice("this node's notifications arrive again") }
    }

    /// Until the task is cancelled.
    func run() async {
        while true {
            do { try await Task.sleep(for: Self.step) } catch { return }
            guard connection()?.generation != nil else { continue }
            switch state.withLockedValue({ $0.echo.due(at: .now) }) {
            case .wait: break
            case .probe: await probe()
            case .deaf(let isNew): complain(isNew: isNew)
            }
        }
    }

    private func probe() async {
        guard let writer = store.registration.current?.writers[.log] else { return }
        let echo = Announcement(writer: writer, batch: 0, pointers: [])
        do throws(PostgresError) {
            let rows = try await store.reader.connection.execute(
                Self.probeStatement, [.text(Announcement.channel), .text(echo.payloads.first ?? "")])
            if let usage = rows.first?.float8(0) { lookAt(queueUsage: usage) }
        } catch {
            store.logger.debug("could not notify this node itself", metadata: ["error": "\(error)"])
        }
    }

    private func complain(isNew: Bool) {
        observer?.deaf()
        if isNew {
            store.logger.error(
                """
                this node's notifications do not come back to it, so changes of other nodes come late: is there a pooler in \
                transaction mode between? Give --listen-url a way to PostgreSQL itself, or use --feed poll
                """)
        }
        connection()?.reconnect()
    }

    private func lookAt(queueUsage usage: Double) {
        observer?.notificationQueue(usage: usage)
        let isChange = state.withLockedValue { state in
            guard state.isQueueFilling ? usage < Self.queueUsageMax / 2 : usage > Self.queueUsageMax else {
                return false
            }
            state.isQueueFilling.toggle()
            return true
        }
        guard isChange else { return }
        if usage > Self.queueUsageMax {
            store.logger.error(
                """
                PostgreSQL's notification queue is filling up: a session listens inside an open transaction. \
                SELECT pid, application_name, xact_start FROM pg_stat_activity ORDER BY xact_start shows it; \
                SELECT pg_terminate_backend(pid) ends it
                """, metadata: ["usage": "\(usage)"])
        } else {
            store.logger.notice("PostgreSQL's notification queue is empty again", metadata: ["usage": "\(usage)"])
        }
    }

    /// `pg_notification_queue_usage` also moves the end of the queue on, once nobody holds it.
    private static let probeStatement = Statement(
        name: "echo", sql: "SELECT pg_notification_queue_usage() FROM pg_notify($1::text, $2::text)")
}
