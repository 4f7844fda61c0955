internal import CLibpq

/// The fields of an error or notice from the server. Those of a message that libpq made itself are nil.
struct ServerReport {
    private let result: OpaquePointer
    /// Keeps `result` alive when it is owned here at all.
    private let owner: CompletedResult?

    init(_ result: CompletedResult) {
        self.result = result.pointer
        self.owner = result
    }

    /// `result` must outlive this value.
    init(borrowing result: OpaquePointer) {
        self.result = result
        self.owner = nil
    }

    /// ERROR, FATAL, PANIC, WARNING, NOTICE … whatever the server's language.
    var severity: String? { field(.severity) }
    var sqlState: String? { field(.sqlState) }
    var message: String? { field(.message) }

    func answer(otherwise libpqMessage: String) -> Link.Answer {
        guard let sqlState, let severity else { return .broken(reason: libpqMessage) }
        let message = message ?? libpqMessage
        // After FATAL and PANIC the server closes the connection, and FATAL may even follow a commit.
        guard severity == "ERROR" else { return .broken(reason: "\(message) (\(sqlState))") }
        return .refused(
            Refusal(
                sqlState: sqlState, routine: field(.routine), message: message,
                detail: field(.detail), hint: field(.hint),
                constraint: field(.constraint)))
    }

    /// The letters of the protocol: libpq's macros for them are character constants, which Swift does not import.
    private enum Field: Unicode.Scalar {
        case severity = "V"
        case sqlState = "C"
        case message = "M"
        case detail = "D"
        case hint = "H"
        case constraint = "n"
        case routine = "R"
    }

    private func field(_ field: Field) -> String? {
        withExtendedLifetime(owner) {
            PQresultErrorField(result, Int32(field.rawValue.value)).map { String(cString: $0) }
        }
    }
}

extension String {
    /// libpq breaks and indents its messages.
    var inOneLine: String { split(whereSeparator: \.isWhitespace).joined(separator: " ") }
}
