/// Hears what a connection does, for metrics. Called on the connection's own thread: it must return at once.
public protocol ConnectionObserver: Sendable {
    func connected(role: String, generation: Int, milliseconds: Double)
    func connectFailed(role: String, error: PostgresError)
    func disconnected(role: String, reason: String)
    /// `statement` is the name of the job's first; `milliseconds` count from the call.
    func jobFinished(role: String, statement: String, milliseconds: Double, error: PostgresError?)
}

extension ConnectionObserver {
    public func connected(role: String, generation: Int, milliseconds: Double) {}
    public func connectFailed(role: String, error: PostgresError) {}
    public func disconnected(role: String, reason: String) {}
    public func jobFinished(role: String, statement: String, milliseconds: Double, error: PostgresError?) {}
}
