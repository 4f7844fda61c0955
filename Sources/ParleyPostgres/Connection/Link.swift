internal import CLibpq
internal import Glibc
internal import Logging

/// A PGconn and what this module asks of it. Belongs to the thread that connected, and is not Sendable so that the
/// compiler keeps it there. Nothing here waits: whoever calls polls `socket`.
final class Link {
    enum Flushed { case all, more, failed }

    enum Answer {
        case rows(CompletedResult)
        case refused(Refusal)
        case skipped
        case endOfCommand
        case sync(warned: Bool)
        /// The connection is of no use any more.
        case broken(reason: String)
    }

    /// A pooler gives each transaction a session of its own choice: nothing that is set or prepared for a session lasts.
    var isPooled = false

    private let connection: OpaquePointer
    private let notices: NoticeReceiver

    /// Takes ownership. The connection may still be under way.
    init(owning connection: OpaquePointer, logger: Logger) {
        self.connection = connection
        self.notices = NoticeReceiver(logger: logger)
        // libpq calls the receiver only inside calls with this connection, and `deinit` ends both: it cannot outlive
        // the object that it points to.
        PQsetNoticeReceiver(
            connection,
            { argument, result in
                guard let argument, let result else { return }
                Unmanaged<NoticeReceiver>.fromOpaque(argument).takeUnretainedValue().receive(result)
            }, Unmanaged.passUnretained(notices).toOpaque())
    }

    deinit { PQfinish(connection) }

    // MARK: State

    var socket: Int32 { PQsocket(connection) }
    var isFailed: Bool { PQstatus(connection) == CONNECTION_BAD }
    var serverVersion: Int { Int(PQserverVersion(connection)) }
    var backendPID: Int32 { PQbackendPID(connection) }
    /// Which of the hosts of the URL, while connecting and after.
    var host: String? { PQhost(connection).map { String(cString: $0) } }
    var isInTransaction: Bool { PQtransactionStatus(connection) != PQTRANS_IDLE }

    /// In one line. libpq names host, port, user and database here, but no password.
    var errorMessage: String {
        let message = PQerrorMessage(connection).map { String(cString: $0) } ?? ""
        let line = message.inOneLine
        return line.isEmpty ? notices.last ?? "the connection was closed" : line
    }

    /// Whether `errorMessage` names the SQLSTATE of what the server said: while logging in there is no other way to it.
    func showsSQLState(_ shows: Bool) { PQsetErrorVerbosity(connection, shows ? PQERRORS_VERBOSE : PQERRORS_DEFAULT) }

    func connectPoll() -> PostgresPollingStatusType { PQconnectPoll(connection) }

    func becomeNonBlocking() -> Bool { PQsetnonblocking(connection, 1) == 0 }

    func enterPipeline() -> Bool { PQenterPipelineMode(connection) == 1 }

    func cancelRequest() -> CancelRequest? { PQgetCancel(connection).map(CancelRequest.init(owning:)) }

    // MARK: Sending, into libpq's buffer; false when the connection has failed

    func sendPrepare(_ statement: Statement) -> Bool {
        PQsendPrepare(connection, statement.name, statement.sql, 0, nil) == 1
    }

    func sendPrepared(_ statement: Statement, _ parameters: [Parameter]) -> Bool {
        ParameterEncoder.withEncoded(parameters) { count, values, lengths, formats in
            PQsendQueryPrepared(connection, statement.name, count, values, lengths, formats, 1) == 1
        }
    }

    func sendUnnamed(_ sql: String, _ parameters: [Parameter]) -> Bool {
        ParameterEncoder.withEncoded(parameters) { count, values, lengths, formats in
            PQsendQueryParams(connection, sql, count, nil, values, lengths, formats, 1) == 1
        }
    }

    /// By the simple protocol: text results, several commands. Not in pipeline mode.
    func sendSimple(_ sql: String) -> Bool { PQsendQuery(connection, sql) == 1 }

    func sendSync() -> Bool { PQpipelineSync(connection) == 1 }

    func flush() -> Flushed {
        switch PQflush(connection) {
        case 0: .all
        case 1: .more
        default: .failed
        }
    }

    // MARK: Receiving

    /// Reads what the socket has. False when the connection has failed; answers that came before are still there.
    func consume() -> Bool { PQconsumeInput(connection) == 1 }

    /// `nextAnswer` would have to wait.
    var isBusy: Bool { PQisBusy(connection) == 1 }

    func nextAnswer() -> Answer {
        guard let pointer = PQgetResult(connection) else { return .endOfCommand }
        let result = CompletedResult(owning: pointer)
        let status = PQresultStatus(pointer)
        switch status {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: return .rows(result)
        case PGRES_PIPELINE_SYNC: return .sync(warned: notices.takeWarned())
        case PGRES_PIPELINE_ABORTED: return .skipped
        case PGRES_FATAL_ERROR: return ServerReport(result).answer(otherwise: errorMessage)
        default:
            let name = PQresStatus(status).map { String(cString: $0) } ?? "unknown"
            return .broken(reason: "unexpected answer \(name)")
        }
    }

    /// The next notification of a channel, among what `consume` has read.
    func nextNotification() -> Notification? {
        guard let notify = PQnotifies(connection) else { return nil }
        defer { PQfreemem(notify) }
        let payload = notify.pointee.extra.map { UnsafeRawBufferPointer(start: $0, count: strlen($0)) }
        return Notification(backendPID: notify.pointee.be_pid, payload: payload.map(Array.init) ?? [])
    }

    struct Notification {
        var backendPID: Int32
        var payload: [UInt8]
    }
}
