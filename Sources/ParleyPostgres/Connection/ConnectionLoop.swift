internal import Glibc
internal import Logging
internal import ParleyCore

/// The thread of a `PostgresConnection`: connects, serves jobs, connects again. Everything here happens on that thread.
final class ConnectionLoop {
    typealias Instant = ContinuousClock.Instant
    typealias Greeting = @Sendable (borrowing Greeter) throws(PostgresError) -> Void

    struct Configuration: Sendable {
        var role: String
        var url: ConnectionURL
        var settings: ConnectionSettings
        var logger: Logger
        var observer: (any ConnectionObserver)?
        var greeting: Greeting
    }

    private struct Underway {
        var job: ConnectionJob
        var rows: [Rows] = []
    }

    private let configuration: Configuration
    private let inbox: Inbox
    private let status: ConnectionStatus
    private let cancels = CancelThreads()
    private let settingsOfTransaction: (sql: String, parameters: [Parameter])
    private var connector: Connector
    private var pipeline: Pipeline
    private var underway: [JobID: Underway] = [:]
    private var generation = 0
    private var stops = false
    private var reconnects = false

    private var logger: Logger { configuration.logger }
    private var role: String { configuration.role }
    private var observer: (any ConnectionObserver)? { configuration.observer }

    init(_ configuration: Configuration, inbox: Inbox, status: ConnectionStatus) {
        let settings = configuration.settings
        self.configuration = configuration
        self.settingsOfTransaction = Connector.setConfig(settings.sessionSettings, forTransaction: true)
        self.inbox = inbox
        self.status = status
        self.connector = Connector(
            role: configuration.role, url: configuration.url, settings: settings, logger: configuration.logger)
        self.pipeline = Pipeline(inFlightMax: settings.inFlightMax, cancelGrace: settings.cancelGrace)
    }

    // MARK: Connections, one after the other

    func run() {
        let settings = configuration.settings
        var backoff = Backoff(first: settings.backoffFirst, max: settings.backoffMax)
        var generator = SystemRandomNumberGenerator()
        while true {
            let started = Instant.now
            do throws(PostgresError) {
                let link = try connect()
                connected(link, since: started)
                let connectedAt = Instant.now
                let reason = serve(link)
                disconnected(reason)
                // A server that accepts and hangs up at once must not be asked without a pause.
                if connectedAt.duration(to: .now) > settings.backoffMax { backoff.reset() }
            } catch {
                switch error {
                case .closed: return end(.closed)
                case .fatal: return failForever(error)
                case .server, .unavailable, .connectionLost, .timedOut, .cancelled: connectFailed(error)
                }
            }
            let pause = backoff.next(using: &generator)
            if wait(socket: -1, events: 0, until: .now + pause) == .stopped { return end(.closed) }
        }
    }

    private func connect() throws(PostgresError) -> Link {
        let link = try connector.connect(self)
        try configuration.greeting(
            Greeter(
                link: link, waiting: self, timeout: configuration.settings.greetingQueryTimeout,
                generation: generation + 1))
        guard !link.isInTransaction else { throw .fatal(reason: "the greeting left a transaction open") }
        guard link.enterPipeline() else { throw .connectionLost(reason: link.errorMessage) }
        return link
    }

    private func connected(_ link: Link, since started: Instant) {
        generation += 1
        reconnects = false
        pipeline.connected(generation: generation, isPooled: link.isPooled)
        status.connected(generation: generation, isPooled: link.isPooled)
        let milliseconds = started.duration(to: .now).milliseconds
        logger.info(
            "connected to PostgreSQL",
            metadata: [
                "role": "\(role)", "url": "\(configuration.url.masked)", "generation": "\(generation)",
                "milliseconds": "\(Int(milliseconds))", "pooled": "\(link.isPooled)",
            ])
        observer?.connected(role: role, generation: generation, milliseconds: milliseconds)
    }

    private func disconnected(_ reason: String) {
        status.disconnected()
        if !stops {
            logger.warning(
                "lost the connection to PostgreSQL: \(reason)",
                metadata: ["role": "\(role)", "generation": "\(generation)", "inFlight": "\(underway.count)"])
        }
        observer?.disconnected(role: role, reason: reason)
        finish(pipeline.disconnected(reason))
    }

    private func connectFailed(_ error: PostgresError) {
        // The same failure again and again is worth one line.
        if status.lastError != error {
            logger.warning(
                "cannot connect to PostgreSQL: \(error)",
                metadata: ["role": "\(role)", "url": "\(configuration.url.masked)"])
        }
        status.failed(error)
        pipeline.connectFailed(error.description)
        observer?.connectFailed(role: role, error: error)
    }

    private func failForever(_ error: PostgresError) {
        logger.error("\(error)", metadata: ["role": "\(role)", "url": "\(configuration.url.masked)"])
        status.failed(error)
        observer?.connectFailed(role: role, error: error)
        end(error)
    }

    private func end(_ error: PostgresError) {
        let rest = inbox.end(error)
        for job in rest.jobs { underway[job.id] = Underway(job: job) }
        finish(pipeline.end(error) + rest.jobs.map { Pipeline.Ended(id: $0.id, error: error) })
        status.ended()
    }

    // MARK: One connection

    /// Why it ended.
    private func serve(_ link: Link) -> String {
        while true {
            let tick = turn()
            if stops { return "closed by this process" }
            if reconnects { return "its server was left behind" }
            if let reason = tick.broken { return reason }
            if tick.cancel { cancel(link) }
            let flushed = send(link)
            if flushed == .failed { return failure(of: link) }
            let events = flushed == .more ? POLLIN | POLLOUT : POLLIN
            let ready = pause(socket: link.socket, events: Int16(events), until: nil)
            guard ready & Int16(POLLIN | POLLHUP | POLLERR) != 0 else { continue }
            let isOpen = link.consume()
            if let reason = receive(link) { return reason }
            if !isOpen || link.isFailed { return link.errorMessage }
        }
    }

    /// Jobs go to libpq one by one, and no further ones while it cannot pass on what it has: those would be lost with
    /// the connection, though never sent.
    private func send(_ link: Link) -> Link.Flushed {
        while true {
            let flushed = link.flush()
            guard flushed == .all, let dispatch = pipeline.nextDispatch() else { return flushed }
            guard let job = underway[dispatch.id]?.job, send(dispatch.commands, of: job, link) else { return .failed }
        }
    }

    private func send(_ commands: [Pipeline.Command], of job: ConnectionJob, _ link: Link) -> Bool {
        for command in commands {
            let isSent =
                switch command {
                case .applySettings: link.sendUnnamed(settingsOfTransaction.sql, settingsOfTransaction.parameters)
                case .prepare(let step): link.sendPrepare(job.steps[step].statement)
                case .executePrepared(let step):
                    link.sendPrepared(job.steps[step].statement, job.steps[step].parameters)
                case .executeUnnamed(let step):
                    link.sendUnnamed(job.steps[step].statement.sql, job.steps[step].parameters)
                }
            guard isSent else { return false }
        }
        return link.sendSync()
    }

    /// Sending has failed: what the server said last may tell why, and may even be the answer to earlier jobs.
    private func failure(of link: Link) -> String {
        let reason = link.errorMessage
        _ = link.consume()
        return receive(link) ?? reason
    }

    /// All answers that are there. A reason when the connection is of no use any more.
    private func receive(_ link: Link) -> String? {
        while true {
            // Also takes in what the server says unasked.
            if link.isBusy || pipeline.isIdle { return nil }
            let reply: Pipeline.Reply
            var result: CompletedResult?
            switch link.nextAnswer() {
            case .rows(let rows): (reply, result) = (.rows, rows)
            case .refused(let refusal): reply = .refused(refusal)
            case .skipped: reply = .skipped
            case .endOfCommand: reply = .endOfCommand
            case .sync(let warned): reply = .sync(warned: warned)
            case .broken(let reason): return reason
            }
            switch pipeline.received(reply) {
            case .goOn: break
            case .keepRows(let id): if let result { underway[id]?.rows.append(Rows(result)) }
            case .ended(let ended): finish([ended])
            case .again(let id): underway[id]?.rows = []
            case .broken(let reason): return link.isFailed ? link.errorMessage : reason
            }
            if pipeline.isIdle, !link.isFailed, link.isInTransaction {
                return "a statement left a transaction open"
            }
        }
    }

    private func cancel(_ link: Link) {
        let generation = generation
        let inbox = inbox
        let isSent = cancels.send(link.cancelRequest(), logger) { inbox.cancelReturned(generation: generation) }
        if !isSent { pipeline.cancelReturned(.now) }
    }

    // MARK: Time and callers

    /// Takes in what callers have said and ends what has had its time.
    private func turn() -> Pipeline.Tick {
        let contents = inbox.take()
        stops = stops || contents.stops
        reconnects = reconnects || contents.reconnects
        for job in contents.jobs {
            underway[job.id] = Underway(job: job)
            finish(pipeline.enqueue(job.forPipeline).map { [$0] } ?? [])
        }
        for id in contents.abandoned { finish(pipeline.abandon(id).map { [$0] } ?? []) }
        for generation in contents.cancelsReturned where generation == self.generation {
            pipeline.cancelReturned(.now)
        }
        let tick = pipeline.tick(.now)
        finish(tick.ended)
        return tick
    }

    private func pause(socket: Int32, events: Int16, until: Instant?) -> Int16 {
        var wakeUpAt = pipeline.wakeUpAt
        if let until { wakeUpAt = min(wakeUpAt ?? until, until) }
        return SocketPoll.poll(inbox, socket: socket, events: events, until: wakeUpAt)
    }

    private func finish(_ ended: [Pipeline.Ended]) {
        for ended in ended {
            guard let done = underway.removeValue(forKey: ended.id) else { continue }
            // Before the caller can send the next one.
            inbox.finished(byteCount: done.job.byteCount)
            observer?.jobFinished(
                role: role, statement: done.job.steps.first?.statement.name ?? "",
                milliseconds: done.job.submitted.duration(to: .now).milliseconds, error: ended.error)
            done.job.continuation?.resume(returning: ended.error.map { .failure($0) } ?? .success(done.rows))
        }
    }
}

extension ConnectionLoop: Waiting {
    /// While it connects and between two attempts: jobs come in and expire, nothing is sent.
    func wait(socket: Int32, events: Int16, until: Instant) -> Waited {
        while true {
            _ = turn()
            if stops { return .stopped }
            if pause(socket: socket, events: events, until: until) != 0 { return .ready }
            if until <= .now { return .timedOut }
        }
    }
}

extension ConnectionJob {
    fileprivate var forPipeline: Pipeline.Job {
        Pipeline.Job(
            id: id, statements: steps.map(\.statement.name), deadline: submitted + timeout,
            onlyGeneration: onlyGeneration)
    }
}
