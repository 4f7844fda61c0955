internal import CLibpq
internal import Glibc
internal import Logging

/// Makes connections that are ready for the greeting: logged in, non-blocking, with the session's settings.
struct Connector {
    typealias Instant = ContinuousClock.Instant

    private let role: String
    private let settings: ConnectionSettings
    private let logger: Logger
    private var url: ConnectionURL

    init(role: String, url: ConnectionURL, settings: ConnectionSettings, logger: Logger) {
        self.role = role
        self.url = url
        self.settings = settings
        self.logger = logger
    }

    /// Looking up names is the one thing that blocks, within libpq, for as long as the system's resolver takes.
    mutating func connect(_ waiting: any Waiting) throws(PostgresError) -> Link {
        let deadline = ContinuousClock.now + settings.connectTimeout
        guard let connection = start() else { throw .unavailable(reason: "out of memory") }
        let link = Link(owning: connection, logger: logger)
        link.showsSQLState(true)
        guard !link.isFailed else { throw .unavailable(reason: link.errorMessage) }
        try logIn(link, waiting, deadline)
        link.showsSQLState(false)
        guard link.becomeNonBlocking() else { throw .unavailable(reason: link.errorMessage) }
        let dialogue = Dialogue(link: link, waiting: waiting, deadline: deadline)
        let session = Self.setConfig(settings.sessionSettings, forTransaction: false)
        // The pid that came with the login is the pooler's own invention.
        let backend = try dialogue.query(session.sql, session.parameters).first?.int4(0)
        link.isPooled = backend != link.backendPID
        return link
    }

    private func start() -> OpaquePointer? {
        let parameters = url.parameters(role: role, settings: settings)
        let keywords = parameters.map { strdup($0.0) }
        let values = parameters.map { strdup($0.1) }
        defer { for text in keywords + values { free(text) } }
        // Ended by a null pointer, as libpq wants them; it copies what they point to before it returns.
        return PQconnectStartParams(
            keywords.map { UnsafePointer($0) } + [nil], values.map { UnsafePointer($0) } + [nil], 1)
    }

    private mutating func logIn(_ link: Link, _ waiting: any Waiting, _ deadline: Instant) throws(PostgresError) {
        var events = POLLOUT
        while true {
            switch waiting.wait(socket: link.socket, events: Int16(events), until: deadline) {
            case .ready: break
            case .timedOut:
                let host = link.host ?? "the server"
                url.turn(past: host)
                throw .unavailable(reason: "\(host) did not let us in within \(settings.connectTimeout)")
            case .stopped: throw .closed
            }
            switch link.connectPoll() {
            case PGRES_POLLING_READING: events = POLLIN
            case PGRES_POLLING_WRITING: events = POLLOUT
            case PGRES_POLLING_OK: return
            default: throw refused(link)
            }
        }
    }

    private func refused(_ link: Link) -> PostgresError {
        let refusal = LoginRefusal(link.errorMessage)
        return settings.isRefusalFinal && refusal.isLasting
            ? .fatal(reason: refusal.message) : .unavailable(reason: refusal.message)
    }

    /// Returns the backend's pid and whatever else.
    static func setConfig(
        _ settings: [String: String], forTransaction isLocal: Bool
    ) -> (sql: String, parameters: [Parameter]) {
        let calls = (0..<settings.count).map { "set_config($\(2 * $0 + 1)::text, $\(2 * $0 + 2)::text, \(isLocal))" }
        return (
            "SELECT " + (["pg_backend_pid()"] + calls).joined(separator: ", "),
            settings.sorted { $0.key < $1.key }.flatMap { [.text($0.key), .text($0.value)] }
        )
    }
}
