/// What a connection does first, before any job: register, compare versions, migrate. Only valid within the
/// greeting, on the connection's thread, which these calls block.
///
/// An error that leaves the greeting closes the connection; it is tried again after a pause, unless the error is
/// `PostgresError.fatal`.
public struct Greeter: ~Copyable {
    private let link: Link
    private let waiting: any Waiting
    private let timeout: Duration
    /// The generation that the connection will have.
    public let generation: Int

    init(link: Link, waiting: any Waiting, timeout: Duration, generation: Int) {
        self.link = link
        self.waiting = waiting
        self.timeout = timeout
        self.generation = generation
    }

    /// 150018 for 15.18.
    public var serverVersion: Int { link.serverVersion }
    public var backendPID: Int32 { link.backendPID }

    /// One command. Each has `greetingQueryTimeout`, after which the connection is given up.
    @discardableResult
    public func query(_ sql: String, _ parameters: [Parameter] = []) throws(PostgresError) -> Rows {
        try dialogue.query(sql, parameters)
    }

    /// Several commands without parameters, in one implicit transaction unless they say otherwise.
    public func run(script: String) throws(PostgresError) { try dialogue.run(script: script) }

    private var dialogue: Dialogue {
        Dialogue(link: link, waiting: waiting, deadline: .now + timeout)
    }
}
