/// An error by which the server refused one job.
struct Refusal: Equatable {
    enum Kind: Equatable {
        /// 57014, by a cancel request or a timeout of the server.
        case cancelled
        /// 26000: the server does not know the prepared statement.
        case notPrepared
        /// 42P05: it knows one of that name already.
        case nameTaken
        /// The tables have changed so that the prepared plan would return other columns.
        case planOutdated
        case other
    }

    var kind: Kind
    var error: PostgresError

    /// `routine` is the name of the server's function that reported it.
    init(
        sqlState: String, routine: String?, message: String, detail: String? = nil, hint: String? = nil,
        constraint: String? = nil
    ) {
        kind =
            switch sqlState {
            case "57014": .cancelled
            case "26000": .notPrepared
            case "42P05": .nameTaken
            // 0A000 says no more than "not supported".
            case "0A000" where routine == "RevalidateCachedQuery": .planOutdated
            default: .other
            }
        error = .server(
            sqlState: sqlState, message: message, detail: detail, hint: hint, constraint: constraint)
    }
}
