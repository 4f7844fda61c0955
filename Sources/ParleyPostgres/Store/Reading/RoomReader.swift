internal import ParleyCore

/// Statements that change nothing, or nothing that doing it again would change: repeated when a connection is lost.
struct RoomReader: Sendable {
    let connection: PostgresConnection
    let timeout: Duration

    /// - Parameter timeout: From the call to the answer, repeats included.
    func read(_ statement: Statement, _ parameters: [Parameter]) async throws(StoreError) -> Rows {
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
