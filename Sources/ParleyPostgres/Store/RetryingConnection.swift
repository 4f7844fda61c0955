internal import ParleyCore

/// A connection for statements that change nothing, or nothing that doing it again would change: repeats them when it is
/// lost before their answer came.
struct RetryingConnection: Sendable {
    let connection: PostgresConnection
    let timeout: Duration

    /// - Parameter timeout: From the call to the answer, repeats included.
    func execute(_ statement: Statement, _ parameters: [Parameter]) async throws(StoreError) -> Rows {
        let deadline = ContinuousClock.now + timeout
        while true {
            do throws(PostgresError) {
                return try await connection.execute(statement, parameters, timeout: max(.zero, deadline - .now))
            } catch {
                switch error {
                case .connectionLost where ContinuousClock.now < deadline: break
                case .server, .unavailable, .connectionLost, .timedOut, .closed, .cancelled, .fatal:
                    throw StoreError(error)
                }
            }
        }
    }
}
