internal import Logging

/// What the server says without being asked.
final class NoticeReceiver {
    private let logger: Logger
    private var warned = false
    /// The newest message, which may say why the connection ended.
    private(set) var last: String?

    init(logger: Logger) { self.logger = logger }

    func receive(_ result: OpaquePointer) {
        let report = ServerReport(borrowing: result)
        guard let message = report.message?.inOneLine else { return }
        if report.severity == "WARNING" { warned = true }
        last = message
        logger.debug(
            "PostgreSQL says: \(message)",
            metadata: ["severity": "\(report.severity ?? "")", "sqlstate": "\(report.sqlState ?? "")"])
    }

    /// Whether there was a WARNING since the last call.
    func takeWarned() -> Bool {
        defer { warned = false }
        return warned
    }
}
