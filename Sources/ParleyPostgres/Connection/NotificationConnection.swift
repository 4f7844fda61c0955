public import Logging

/// A connection that only listens to one channel, with a thread of its own. It connects again by itself.
///
/// What is notified while it is not connected is lost: `onListening` says when to read what one may have missed. A
/// server that has gone without a word is found out by a round trip every `pingEvery`.
public final class NotificationConnection: Sendable {
    private let inbox = Inbox(jobsMax: 0, bytesMax: 0)
    private let status = ConnectionStatus()
    /// nil when the URL cannot be read.
    private let configuration: NotificationLoop.Configuration?

    /// Nothing happens before `start()`. The callbacks run on the connection's thread and must not block it.
    ///
    /// - Parameters:
    ///   - greeting: Runs on each new connection before it listens; see `Greeter`.
    ///   - silenceMax: How long a round trip may take before the connection is given up.
    ///   - onListening: The server has confirmed LISTEN on a new connection: from here on nothing is missed.
    ///   - onNotification: Also of those that this process has sent on other connections.
    public init(
        url: String, channel: String, settings: ConnectionSettings, logger: Logger,
        observer: (any ConnectionObserver)? = nil,
        greeting: @escaping @Sendable (borrowing Greeter) throws(PostgresError) -> Void = { _ in },
        pingEvery: Duration = .seconds(1), silenceMax: Duration = .seconds(3),
        onListening: @escaping @Sendable () -> Void,
        onNotification: @escaping @Sendable (_ payload: [UInt8], _ backendPID: Int32) -> Void
    ) {
        self.configuration = ConnectionURL(url).map {
            NotificationLoop.Configuration(
                url: $0, channel: channel, settings: settings, logger: logger, observer: observer,
                greeting: greeting, pingEvery: pingEvery, silenceMax: silenceMax, onListening: onListening,
                onNotification: onNotification)
        }
    }

    /// Who forgets to close it has its thread ended all the same.
    deinit { inbox.stop() }

    /// Idempotent.
    public func start() {
        guard status.begin() else { return }
        guard let configuration else {
            return fail("libpq cannot read the database URL")
        }
        let isStarted = ConnectionThread.start(name: "pg-listener") { [inbox, status] in
            NotificationLoop(configuration, inbox: inbox, status: status).run()
        }
        if !isStarted { fail("the system has no thread left") }
    }

    private func fail(_ reason: String) {
        status.failed(.fatal(reason: reason))
        status.ended()
    }

    /// Returns when the thread has ended; no callback comes after that. Idempotent.
    public func close() async {
        if status.begin() { status.ended() }
        inbox.stop()
        await status.awaitEnd()
    }

    /// Gives the present connection up for a new one.
    func reconnect() { inbox.reconnect() }

    /// 1 for the first connection that listens, 2 for the next; nil while there is none.
    public var generation: Int? { status.generation }

    /// Why the last attempt to connect failed; nil once one has succeeded.
    public var lastError: PostgresError? { status.lastError }
}
