/// Bounds and times of one connection.
public struct ConnectionSettings: Sendable {
    /// For one attempt to connect and log in, over all hosts of the URL. Name lookup is not counted.
    public var connectTimeout: Duration = .seconds(5)
    /// For each query of a greeting, which may hold migrations.
    public var greetingQueryTimeout: Duration = .seconds(30)
    /// What a job has, from the call to the answer, when it does not say itself.
    public var defaultTimeout: Duration = .seconds(5)
    /// How long past its deadline a job that was sent is waited for before the connection is given up.
    public var cancelGrace: Duration = .seconds(1)

    /// Jobs that have no answer yet, sent or not. One more is refused with `unavailable`.
    public var queueJobsMax = 4_096
    /// Bytes of the parameters of those jobs. A single job may be larger when the queue is empty.
    public var queueBytesMax = 64 << 20
    /// Jobs that the server has at once. More only lengthens the row behind a slow one.
    public var inFlightMax = 64

    /// The first pause before another attempt; each further one is twice as long up to `backoffMax`. What is
    /// waited is a random part of it ("full jitter"), so that nodes do not come back all at once.
    public var backoffFirst: Duration = .milliseconds(100)
    public var backoffMax: Duration = .seconds(3)

    /// Seconds; a silent peer is noticed after idle + count × interval. What the URL says goes first.
    public var keepalivesIdle = 5
    public var keepalivesInterval = 2
    public var keepalivesCount = 3
    /// How long sent bytes may stay unacknowledged by the peer's kernel.
    public var tcpUserTimeout: Duration = .seconds(10)

    /// A database or role that is not there, or a wrong password, ends the connection for good. Right for a command that a
    /// person waits for; a node that runs waits until an administrator has put it right.
    public var isRefusalFinal = false

    /// Set with `set_config` on each new connection, not by the `options` of the start packet, which a pooler may
    /// refuse and a URL may hold already: `["statement_timeout": "30s", "synchronous_commit": "on"]`.
    public var sessionSettings: [String: String] = [:]

    public init() {}
}
