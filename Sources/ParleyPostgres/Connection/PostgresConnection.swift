public import Logging

/// One private connection to PostgreSQL with a thread of its own. It connects, and connects again, by itself.
///
/// Jobs of all callers share it: each is one implicit transaction, several are under way at once, and the server
/// executes them in the order in which they were sent. A job must hold no transaction control and nothing that
/// PostgreSQL forbids in a transaction block.
///
/// A job ends by its timeout plus `cancelGrace`, or soon after that of a job before it on the same connection; so one
/// that may block belongs on another connection than those that must not wait.
public final class PostgresConnection: Sendable {
    private let role: String
    let settings: ConnectionSettings
    private let inbox: Inbox
    private let status = ConnectionStatus()
    /// nil when the URL cannot be read.
    private let configuration: ConnectionLoop.Configuration?
    /// Why it cannot.
    private let problem: String

    /// Nothing happens before `start()`.
    ///
    /// - Parameters:
    ///   - role: What it is for, in logs, metrics and as `parley/<role>` in `pg_stat_activity`.
    ///   - url: A URI or keyword string as libpq reads it. It never shows up in a log.
    ///   - greeting: Runs on each new connection before any job; see `Greeter`.
    public init(
        role: String, url: String, settings: ConnectionSettings, logger: Logger,
        observer: (any ConnectionObserver)? = nil,
        greeting: @escaping @Sendable (borrowing Greeter) throws(PostgresError) -> Void = { _ in }
    ) {
        self.role = role
        self.settings = settings
        self.problem = ConnectionURL.problem(url)
        self.inbox = Inbox(jobsMax: settings.queueJobsMax, bytesMax: settings.queueBytesMax)
        self.configuration = ConnectionURL(url).map {
            ConnectionLoop.Configuration(
                role: role, url: $0, settings: settings, logger: logger, observer: observer, greeting: greeting)
        }
    }

    /// Who forgets to close it has its thread ended all the same.
    deinit { inbox.stop() }

    /// Idempotent.
    public func start() {
        guard status.begin() else { return }
        guard let configuration else {
            return fail("libpq cannot read the database URL: \(problem)")
        }
        let isStarted = ConnectionThread.start(name: "pg-\(role)") { [inbox, status] in
            ConnectionLoop(configuration, inbox: inbox, status: status).run()
        }
        if !isStarted { fail("the system has no thread left") }
    }

    private func fail(_ reason: String) {
        let error = PostgresError.fatal(reason: reason)
        status.failed(error)
        for job in inbox.end(error).jobs { job.continuation?.resume(returning: .failure(error)) }
        status.ended()
    }

    /// What was not sent ends with `closed`, what was sent with `connectionLost`. Returns when the thread has ended:
    /// at once, unless it is looking up a name. Idempotent.
    public func close() async {
        if status.begin() {
            for job in inbox.end(.closed).jobs { job.continuation?.resume(returning: .failure(.closed)) }
            status.ended()
        }
        inbox.stop()
        await status.awaitEnd()
    }

    /// Gives the present connection up for a new one; what was sent on it ends with `connectionLost`.
    func reconnect() { inbox.reconnect() }

    /// A pooler stands between: each transaction may have another backend.
    var isPooled: Bool { status.isPooled }

    /// 1 for the first connection, 2 for the next; nil while there is none.
    public var generation: Int? { status.generation }

    /// Returns after a round trip to a server that has been greeted. Otherwise throws why there is none: what the last
    /// attempt failed with.
    public func waitUntilConnected(timeout: Duration) async throws(PostgresError) {
        do throws(PostgresError) {
            _ = try await execute([], timeout: timeout)
        } catch {
            switch error {
            case .unavailable: throw status.lastError ?? error
            case .server, .connectionLost, .timedOut, .closed, .cancelled, .fatal: throw error
            }
        }
    }

    /// One statement in a transaction of its own.
    ///
    /// - Parameters:
    ///   - timeout: From this call to the answer; nil for the connection's default. A job that still waits then ends
    ///     with `unavailable`; one that was sent is cancelled on the server.
    ///   - onlyGeneration: Send it on this connection or not at all.
    @discardableResult
    public func execute(
        _ statement: Statement, _ parameters: [Parameter] = [], timeout: Duration? = nil,
        onlyGeneration: Int? = nil
    ) async throws(PostgresError) -> Rows {
        let rows = try await execute([(statement, parameters)], timeout: timeout, onlyGeneration: onlyGeneration)
        guard let first = rows.first else { throw .connectionLost(reason: "an answer without a result") }
        return first
    }

    /// Several statements in one transaction, sent in one go: the answer has the rows of each, in order. An error in
    /// any of them undoes all.
    @discardableResult
    public func execute(
        _ steps: [(Statement, [Parameter])], timeout: Duration? = nil, onlyGeneration: Int? = nil
    ) async throws(PostgresError) -> [Rows] {
        guard !Task.isCancelled else { throw .cancelled }
        let id = inbox.nextID()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let job = job(id, steps, timeout, onlyGeneration, continuation)
                if let refusal = inbox.submit(job) { continuation.resume(returning: .failure(refusal)) }
                // The handler may have run before the job was there.
                if Task.isCancelled { inbox.abandon(id) }
            }
        } onCancel: {
            inbox.abandon(id)
        }
        return try result.get()
    }

    /// Goes behind what waits already; nobody awaits it, and only the observer hears of a failure. Dropped when the
    /// queue is full, or when more than `jobsBefore` jobs are unfinished.
    public func submit(_ statement: Statement, _ parameters: [Parameter] = [], jobsBefore: Int? = nil) {
        _ = inbox.submit(job(inbox.nextID(), [(statement, parameters)], nil, nil, nil), jobsBefore: jobsBefore)
    }

    private func job(
        _ id: JobID, _ steps: [(Statement, [Parameter])], _ timeout: Duration?, _ onlyGeneration: Int?,
        _ continuation: CheckedContinuation<Result<[Rows], PostgresError>, Never>?
    ) -> ConnectionJob {
        ConnectionJob(
            id: id, steps: steps.map { ConnectionJob.Step(statement: $0.0, parameters: $0.1) }, submitted: .now,
            timeout: timeout ?? settings.defaultTimeout, onlyGeneration: onlyGeneration,
            byteCount: steps.reduce(0) { $1.1.reduce($0) { $0 + $1.byteCount } }, continuation: continuation)
    }
}
