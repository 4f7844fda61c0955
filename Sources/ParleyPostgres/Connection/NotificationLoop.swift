internal import Glibc
internal import Logging
internal import ParleyCore

/// The thread of a `NotificationConnection`. Everything here happens on that thread.
final class NotificationLoop {
    typealias Instant = ContinuousClock.Instant

    struct Configuration: Sendable {
        var url: ConnectionURL
        var channel: String
        var settings: ConnectionSettings
        var logger: Logger
        var observer: (any ConnectionObserver)?
        var greeting: ConnectionLoop.Greeting
        var pingEvery: Duration
        var silenceMax: Duration
        var onListening: @Sendable () -> Void
        var onNotification: @Sendable (_ payload: [UInt8], _ backendPID: Int32) -> Void
    }

    static let role = "listener"

    private let configuration: Configuration
    private let inbox: Inbox
    private let status: ConnectionStatus
    private var connector: Connector
    private var generation = 0
    private var isServing = false
    /// The connection is to be given up for a new one.
    private var reconnects = false

    init(_ configuration: Configuration, inbox: Inbox, status: ConnectionStatus) {
        self.configuration = configuration
        self.inbox = inbox
        self.status = status
        self.connector = Connector(
            role: Self.role, url: configuration.url, settings: configuration.settings,
            logger: configuration.logger)
    }

    func run() {
        let settings = configuration.settings
        var backoff = Backoff(first: settings.backoffFirst, max: settings.backoffMax)
        var generator = SystemRandomNumberGenerator()
        while true {
            let started = Instant.now
            do throws(PostgresError) {
                let link = try connector.connect(self)
                try configuration.greeting(
                    Greeter(
                        link: link, waiting: self, timeout: settings.greetingQueryTimeout, generation: generation + 1))
                let listen = Dialogue(link: link, waiting: self, deadline: started + settings.connectTimeout)
                try listen.run(script: "LISTEN \(Self.quoted(configuration.channel))")
                listening(since: started)
                let connectedAt = Instant.now
                let reason = serve(link)
                disconnected(reason)
                if connectedAt.duration(to: .now) > settings.backoffMax { backoff.reset() }
            } catch {
                connectFailed(error)
            }
            let pause = backoff.next(using: &generator)
            if wait(socket: -1, events: 0, until: .now + pause) == .stopped { return status.ended() }
        }
    }

    /// Why it ended.
    private func serve(_ link: Link) -> String {
        var ping = PingSchedule(every: configuration.pingEvery, silenceMax: configuration.silenceMax, now: .now)
        (isServing, reconnects) = (true, false)
        defer { isServing = false }
        while true {
            if reconnects { return "its server was left behind" }
            // Some may have come together with the answer to LISTEN, or to a ping.
            while let notification = link.nextNotification() {
                configuration.onNotification(notification.payload, notification.backendPID)
            }
            switch ping.due(.now) {
            case .wait: break
            // An empty command: a round trip without a transaction.
            case .ping: guard link.sendSimple("") else { return link.errorMessage }
            case .silent: return "no answer for \(configuration.silenceMax)"
            }
            let flushed = link.flush()
            if flushed == .failed { return link.errorMessage }
            let events = flushed == .more ? POLLIN | POLLOUT : POLLIN
            switch wait(socket: link.socket, events: Int16(events), until: ping.nextAt) {
            case .stopped: return "closed by this process"
            case .timedOut: continue
            case .ready: break
            }
            let isOpen = link.consume()
            while ping.isUnderway, !link.isBusy {
                switch link.nextAnswer() {
                case .endOfCommand: ping.answered(.now)
                case .rows, .refused, .skipped, .sync: break
                case .broken(let reason): return reason
                }
            }
            if !isOpen { return link.errorMessage }
        }
    }

    private func listening(since started: Instant) {
        generation += 1
        status.connected(generation: generation)
        let milliseconds = started.duration(to: .now).milliseconds
        configuration.logger.info(
            "listening to PostgreSQL",
            metadata: [
                "channel": "\(configuration.channel)", "url": "\(configuration.url.masked)",
                "generation": "\(generation)", "milliseconds": "\(Int(milliseconds))",
            ])
        configuration.observer?.connected(role: Self.role, generation: generation, milliseconds: milliseconds)
        configuration.onListening()
    }

    private func disconnected(_ reason: String) {
        status.disconnected()
        if !inbox.isStopped {
            configuration.logger.warning(
                "lost the listening connection to PostgreSQL: \(reason)",
                metadata: ["generation": "\(generation)"])
        }
        configuration.observer?.disconnected(role: Self.role, reason: reason)
    }

    private func connectFailed(_ error: PostgresError) {
        guard error != .closed else { return }
        if status.lastError != error {
            configuration.logger.warning(
                "cannot listen to PostgreSQL: \(error)", metadata: ["url": "\(configuration.url.masked)"])
        }
        status.failed(error)
        configuration.observer?.connectFailed(role: Self.role, error: error)
    }

    private static func quoted(_ identifier: String) -> String {
        "\"" + identifier.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}

extension NotificationLoop: Waiting {
    func wait(socket: Int32, events: Int16, until: Instant) -> Waited {
        while true {
            let contents = inbox.take()
            reconnects = reconnects || contents.reconnects
            if contents.stops { return .stopped }
            // Whoever serves looks for himself; whoever connects must not be told of a socket that is not ready.
            if reconnects, isServing { return .ready }
            if SocketPoll.poll(inbox, socket: socket, events: events, until: until) != 0 { return .ready }
            if until <= .now { return .timedOut }
        }
    }
}
