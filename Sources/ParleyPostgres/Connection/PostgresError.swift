/// Why a job has no rows. What a caller must know is whether the job may have taken effect: only after
/// `connectionLost` is that unknown; after every other error nothing was done.
///
/// No case holds a parameter's value or a password, and `description` shows neither.
public enum PostgresError: Error, Sendable, Hashable {
    /// The server refused this job and rolled it back. Others are not concerned.
    case server(sqlState: String, message: String, detail: String?, hint: String?, constraint: String?)
    /// It was never executed: no connection in time, the queue full, or the wrong generation.
    case unavailable(reason: String)
    /// It was sent, and no certain answer came: it may have been committed or not, and may even be committed later.
    case connectionLost(reason: String)
    /// Its deadline passed while the server executed it. The server confirmed that it was rolled back.
    case timedOut(statement: String)
    /// `close()` was called before it was sent.
    case closed
    /// The caller's task was cancelled before it was sent, or the server confirmed that it was rolled back.
    case cancelled
    /// This server can never be used (too old, a newer schema): nobody tries again.
    case fatal(reason: String)

    /// Five characters of the SQL standard, `23505` for instance; nil unless the server refused.
    public var sqlState: String? {
        switch self {
        case .server(let sqlState, _, _, _, _): sqlState
        case .unavailable, .connectionLost, .timedOut, .closed, .cancelled, .fatal: nil
        }
    }
}

extension PostgresError: CustomStringConvertible {
    /// `detail` is left out: PostgreSQL puts values of rows into it.
    public var description: String {
        switch self {
        case .server(let sqlState, let message, _, let hint, _):
            "PostgreSQL refused (\(sqlState)): \(message)" + (hint.map { ". \($0)" } ?? "")
        case .unavailable(let reason): "PostgreSQL is unavailable: \(reason)"
        case .connectionLost(let reason): "the connection to PostgreSQL was lost: \(reason)"
        case .timedOut(let statement): "PostgreSQL did not finish \(statement) in time"
        case .closed: "the connection to PostgreSQL was closed"
        case .cancelled: "cancelled by the caller"
        case .fatal(let reason): "this PostgreSQL cannot be used: \(reason)"
        }
    }
}
