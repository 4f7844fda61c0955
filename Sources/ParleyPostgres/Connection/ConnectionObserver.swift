/// Hears what a connection does, for metrics. Called on the connection's own thread: it must return at once.
public protocol ConnectionObserver: Sendable {
    func connected(role: String, generation: Int, milliseconds: Double)
    func connectFailed(role: String, error: PostgresError)
    func disconnected(role: String, reason: String)
    /// `statement` is the name of the job's first; `milliseconds` count from the call.
    func jobFinished(role: String, statement: String, milliseconds: Double, error: PostgresError?)
    /// What this process notified has come back to it after so long.
    func echoed(milliseconds: Double)
    /// It has not come back.
    func deaf()
    /// How much of PostgreSQL's queue of notifications is in use, from 0 to 1.
    func notificationQueue(usage: Double)
    /// So many chunks of the log were over, and are gone.
    func pruned(chunks: Int)
}

extension ConnectionObserver {
    public func connected(role: String, generation: Int, milliseconds: Double) {}
    public func connectFailed(role: String, error: PostgresError) {}
    public func disconnected(role: String, reason: String) {}
    public func jobFinished(role: String, statement: String, milliseconds: Double, error: PostgresError?) {}
    public func echoed(milliseconds: Double) {}
    public func deaf() {}
    public func notificationQueue(usage: Double) {}
    public func pruned(chunks: Int) {}
}
