internal import ParleyCore

/// Of one node's store.
public struct StoreConfiguration: Sendable {
    /// As libpq reads it. Never logged.
    public var url: String
    /// The same database for LISTEN, when `url` goes by a pooler that does not pass notifications on; nil for `url`.
    public var listenURL: String?
    /// How the node calls itself in `parley.nodes`; need not be unique.
    public var nodeName: String
    /// Where people reach the node, for `parley.nodes`.
    public var nodeAddress: String?
    /// Of Parley, for `parley.nodes`.
    public var version: String

    /// How long the node may be silent before others are entitled to declare it dead.
    public var lease: Duration = .seconds(5)
    public var heartbeatEvery: Duration = .seconds(1)
    /// What every heartbeat leaves of the lease at least: with less it renews it. So an idle node writes at every second
    /// one.
    var leaseLeft: Duration { max(lease - heartbeatEvery * 3 / 2, lease / 2) }
    /// How long the node's members stay when it is dead.
    public var grace: Duration = .seconds(15)
    /// Of all shared values of a room together.
    public var valuesBytesMax = Limits().valuesBytes
    /// How long the rules of some rooms in a batch may take together, for nobody else's messages are shown before they are
    /// through. Beyond it each is asked on a way of its own, and one that is beyond it there too stays.
    public var ruleTimeTogether: Duration = .milliseconds(100)
    /// How long a rule may take there for what one batch has for its room; else that is refused.
    public var ruleTimeMax: Duration = .seconds(1)
    /// And so much more, both, for each input.
    public var ruleTimeEach: Duration = .microseconds(250)
    /// How often the node looks for rooms that are to be pruned, about.
    public var pruneEvery: Duration = .seconds(5)
    /// What is younger is never pruned, whatever a room says: a writer may still have to learn that it was committed, and
    /// other nodes may still have to read it.
    public var pruneAgeMin: Duration = .seconds(60)
    /// What a request has, from the call to the answer. `append` alone may take longer, to learn its outcome.
    public var requestTimeout: Duration = .seconds(5)
    /// How long a batch waits for a room that a foreign transaction holds. Well under the server's
    /// `deadlock_timeout` (1 s), whose check would end one of the two at random.
    public var lockTimeout: Duration = .milliseconds(200)
    /// And where the server is so quick that a batch of another node never holds one so long: see `LockPatience`.
    public var lockTimeoutMin: Duration = .milliseconds(50)
    /// The same for `appendApart`, where only those wait that are written apart too.
    public var lockTimeoutApart: Duration = .milliseconds(900)
    /// Tell other nodes of each batch by NOTIFY. Off when they poll.
    public var announce = true
    /// The session settings in it are kept, but for those on which the store depends.
    public var connection = ConnectionSettings()

    public init(url: String, nodeName: String, nodeAddress: String? = nil, version: String) {
        self.url = url
        self.nodeName = nodeName
        self.nodeAddress = nodeAddress
        self.version = version
    }

    /// Settings of the connections that read and write rooms.
    func connectionSettings(lockTimeout: Duration, durable: Bool = true) -> ConnectionSettings {
        var settings = connection
        settings.defaultTimeout = requestTimeout
        let own = [
            // The database's default may be off.
            "synchronous_commit": durable ? "on" : "off",
            // All is written for one order of locks and a new snapshot for each statement.
            "default_transaction_isolation": "read committed",
            "default_transaction_read_only": "off",
            "lock_timeout": "\(lockTimeout.wholeMilliseconds)ms",
            // Planning anew for each set of parameters would double the cost of a small batch. These plans know
            // nothing of the tables' size, so that they are told what is right for every size: the indexes.
            "plan_cache_mode": "force_generic_plan",
            "enable_seqscan": "off",
            "enable_mergejoin": "off",
            "jit": "off",
            "search_path": "pg_catalog",
        ]
        settings.sessionSettings.merge(own) { $1 }
        return settings
    }
}

extension Parameter {
    /// An int4, for `$n::int4 * interval '1 ms'`.
    static func milliseconds(_ duration: Duration) -> Parameter {
        .int4(Int32(clamping: duration.wholeMilliseconds))
    }
}
