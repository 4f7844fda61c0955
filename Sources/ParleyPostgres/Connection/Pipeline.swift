internal import DequeModule

/// What waits for one connection and what is under way on it: decides what is sent, what an answer means and what
/// becomes of each job when time, its caller or the connection ends it. Each job ends exactly once.
///
/// A job is one implicit transaction, closed by one Sync. Answers come in the order of sending.
struct Pipeline {
    typealias Instant = ContinuousClock.Instant

    struct Job: Equatable {
        var id: JobID
        /// The names of its statements, in order.
        var statements: [String]
        var deadline: Instant
        var onlyGeneration: Int?
    }

    enum Command: Equatable {
        /// The session's settings, for this transaction alone: behind a pooler each may have another session.
        case applySettings
        case prepare(step: Int)
        case executePrepared(step: Int)
        case executeUnnamed(step: Int)
    }

    struct Dispatch: Equatable {
        var id: JobID
        /// To be sent in this order, then a Sync.
        var commands: [Command]
    }

    struct Ended: Equatable {
        var id: JobID
        /// nil: the rows that were kept are the answer.
        var error: PostgresError?
    }

    /// One thing that the server says about what it was sent.
    enum Reply: Equatable {
        case rows
        case refused(Refusal)
        /// Not executed, because an earlier command of the job was refused.
        case skipped
        case endOfCommand
        /// The transaction has ended. `warned`: the server had sent a WARNING since the last Sync.
        case sync(warned: Bool)
    }

    enum Verdict: Equatable {
        case goOn
        /// The rows answer the job's next statement.
        case keepRows(JobID)
        case ended(Ended)
        /// Nothing was done; the job stands at the front of the queue again: forget its rows.
        case again(JobID)
        case broken(reason: String)
    }

    struct Tick: Equatable {
        var ended: [Ended] = []
        /// Ask the server to cancel what it executes, and call `cancelReturned` when that call has returned.
        var cancel = false
        /// The connection must be given up.
        var broken: String?
    }

    private enum Ending { case deadline, caller }

    private struct Sent {
        var job: Job
        var commands: [Command]
        var cursor = 0
        /// There was a reply since the last end of a command.
        var isAnswered = false
        var error: PostgresError?
        var repeats = false
        var ending: Ending?
        /// A cancel request may hit it, meant or not.
        var endangered: Bool

        /// nil when only the Sync is left.
        var currentCommand: Command? { cursor < commands.count ? commands[cursor] : nil }
    }

    private enum Cancelling: Equatable {
        case none
        case underway
        /// The last one returned without ending its target, or hit nothing.
        case notBefore(Instant)
    }

    private let inFlightMax: Int
    private let cancelGrace: Duration

    private var queue: Deque<Job> = []
    private var inFlight: Deque<Sent> = []
    /// Jobs that are to run without prepared statements, because those had failed them.
    private var repeated: Set<JobID> = []
    private var preparation = Preparation()
    private var generation: Int?
    private var isPooled = false
    private var absence = "not connected yet"
    private var cancelling = Cancelling.none
    /// By when the job at the head must have ended, once its time is up.
    private var giveUpAt: Instant?
    /// Not after the first deadline of all that is not yet ending.
    private var firstDeadline: Instant?

    init(inFlightMax: Int, cancelGrace: Duration) {
        self.inFlightMax = inFlightMax
        self.cancelGrace = cancelGrace
    }

    var isIdle: Bool { inFlight.isEmpty }

    /// `tick` must be called by then.
    var wakeUpAt: Instant? {
        var first = firstDeadline
        if let giveUpAt { first = Swift.min(first ?? giveUpAt, giveUpAt) }
        if case .notBefore(let instant) = cancelling, inFlight.first?.ending != nil {
            first = Swift.min(first ?? instant, instant)
        }
        return first
    }

    // MARK: Jobs

    /// The end of a job that can never be sent.
    mutating func enqueue(_ job: Job) -> Ended? {
        if let wanted = job.onlyGeneration, wanted != generation { return wrongGeneration(job) }
        queue.append(job)
        firstDeadline = firstDeadline.map { Swift.min($0, job.deadline) } ?? job.deadline
        return nil
    }

    /// What to send now, one job at a time; nil when nothing waits or the server has enough.
    mutating func nextDispatch() -> Dispatch? {
        // A pooler that sees a Sync answered may give the backend to somebody else although a part of the next job has
        // gone there already; the rest of that job then runs on another backend, without its settings or not at all.
        let inFlightMax = isPooled ? 1 : inFlightMax
        guard generation != nil, inFlight.count < inFlightMax, let job = queue.popFirst() else { return nil }
        let isRepeated = repeated.contains(job.id)
        var commands: [Command] = []
        commands.reserveCapacity(job.statements.count)
        if isPooled { commands.append(.applySettings) }
        var preparedHere: Set<String> = []
        for (step, name) in job.statements.enumerated() {
            if preparedHere.contains(name) {
                commands.append(.executePrepared(step: step))
                continue
            }
            switch isRepeated || isPooled ? .unnamed : preparation.way(for: name) {
            case .prepareFirst:
                preparedHere.insert(name)
                commands.append(.prepare(step: step))
                commands.append(.executePrepared(step: step))
            case .prepared: commands.append(.executePrepared(step: step))
            case .unnamed: commands.append(.executeUnnamed(step: step))
            }
        }
        inFlight.append(Sent(job: job, commands: commands, endangered: cancelling == .underway))
        return Dispatch(id: job.id, commands: commands)
    }

    /// The caller does not want it any more. Its end, if it had not been sent.
    mutating func abandon(_ id: JobID) -> Ended? {
        if let index = queue.firstIndex(where: { $0.id == id }) {
            queue.remove(at: index)
            repeated.remove(id)
            return Ended(id: id, error: .cancelled)
        }
        if let index = inFlight.firstIndex(where: { $0.job.id == id }), inFlight[index].ending == nil {
            inFlight[index].ending = .caller
        }
        return nil
    }

    // MARK: Time

    mutating func tick(_ now: Instant) -> Tick {
        var tick = Tick()
        if let firstDeadline, firstDeadline <= now { expire(now, &tick) }
        guard let head = inFlight.first, head.ending != nil else {
            giveUpAt = nil
            return tick
        }
        let end = giveUpAt ?? now + cancelGrace
        giveUpAt = end
        if end <= now {
            tick.broken = "no answer to \(Self.name(of: head.job)), nor to the request to cancel it"
            return tick
        }
        switch cancelling {
        case .underway: break
        case .notBefore(let instant) where instant > now: break
        case .none, .notBefore:
            cancelling = .underway
            for index in inFlight.indices { inFlight[index].endangered = true }
            tick.cancel = true
        }
        return tick
    }

    mutating func cancelReturned(_ now: Instant) {
        guard cancelling == .underway else { return }
        cancelling = .notBefore(now + cancelGrace / 4)
    }

    private mutating func expire(_ now: Instant, _ tick: inout Tick) {
        var first: Instant?
        var kept: Deque<Job> = []
        for job in queue {
            if job.deadline <= now {
                repeated.remove(job.id)
                let reason = generation == nil ? absence : "not sent in time: the connection is busy"
                tick.ended.append(Ended(id: job.id, error: .unavailable(reason: reason)))
            } else {
                first = first.map { Swift.min($0, job.deadline) } ?? job.deadline
                kept.append(job)
            }
        }
        queue = kept
        for index in inFlight.indices where inFlight[index].ending == nil {
            let deadline = inFlight[index].job.deadline
            if deadline <= now {
                inFlight[index].ending = .deadline
            } else {
                first = first.map { Swift.min($0, deadline) } ?? deadline
            }
        }
        firstDeadline = first
    }

    // MARK: Answers

    mutating func received(_ reply: Reply) -> Verdict {
        guard !inFlight.isEmpty else { return .broken(reason: "an answer that nobody had asked for") }
        let wasAnswered = inFlight[0].isAnswered
        inFlight[0].isAnswered = reply != .endOfCommand
        switch reply {
        case .rows:
            switch inFlight[0].currentCommand {
            case .prepare(let step):
                preparation.prepared(inFlight[0].job.statements[step])
                return .goOn
            case .applySettings: return .goOn
            case .executePrepared, .executeUnnamed: return .keepRows(inFlight[0].job.id)
            case nil: return .broken(reason: "more answers than statements")
            }
        case .refused(let refusal):
            refused(refusal)
            return .goOn
        case .skipped:
            if case .prepare(let step) = inFlight[0].currentCommand {
                preparation.notPrepared(inFlight[0].job.statements[step])
            }
            return .goOn
        case .endOfCommand:
            // A connection that has failed has nothing but such ends to give, one after the other.
            guard wasAnswered else { return .broken(reason: "an answer is missing") }
            if inFlight[0].currentCommand != nil { inFlight[0].cursor += 1 }
            return .goOn
        case .sync(let warned):
            guard inFlight[0].currentCommand == nil else { return .broken(reason: "fewer answers than statements") }
            return headEnded(warned: warned)
        }
    }

    private mutating func refused(_ refusal: Refusal) {
        let head = inFlight[0]
        let mayRepeat = head.ending == nil && !repeated.contains(head.job.id)
        switch (head.currentCommand, refusal.kind) {
        case (.prepare(let step), .nameTaken):
            preparation.cannotUse(head.job.statements[step])
            inFlight[0].repeats = mayRepeat
        case (.prepare(let step), _):
            preparation.notPrepared(head.job.statements[step])
        case (.executePrepared, .notPrepared):
            preparation.lost()
            inFlight[0].repeats = mayRepeat
        case (.executePrepared(let step), .planOutdated):
            preparation.cannotUse(head.job.statements[step])
            inFlight[0].repeats = mayRepeat
        case (.applySettings, _), (.executePrepared, _), (.executeUnnamed, _), (nil, _): break
        }
        inFlight[0].error = error(for: refusal, of: head)
    }

    private func error(for refusal: Refusal, of sent: Sent) -> PostgresError {
        guard refusal.kind == .cancelled, sent.endangered else { return refusal.error }
        switch sent.ending {
        case .deadline: return .timedOut(statement: Self.name(of: sent.job))
        case .caller: return .cancelled
        case nil: return .unavailable(reason: "hit by the request to cancel another statement")
        }
    }

    private mutating func headEnded(warned: Bool) -> Verdict {
        let head = inFlight.removeFirst()
        let id = head.job.id
        giveUpAt = nil
        if case .notBefore = cancelling { cancelling = .none }
        if head.repeats {
            repeated.insert(id)
            queue.prepend(head.job)
            firstDeadline = firstDeadline.map { Swift.min($0, head.job.deadline) } ?? head.job.deadline
            return .again(id)
        }
        repeated.remove(id)
        if head.error == nil, head.endangered, warned {
            // A cancel request that arrives while the server waits for its synchronous standby ends only the waiting:
            // the transaction is committed, but a failover could take it back.
            return .ended(
                Ended(id: id, error: .connectionLost(reason: "cancelled while it was being committed")))
        }
        return .ended(Ended(id: id, error: head.error))
    }

    // MARK: The connection

    /// - Parameter isPooled: Somebody in between gives each transaction a session of his own choice.
    mutating func connected(generation: Int, isPooled: Bool = false) {
        self.generation = generation
        self.isPooled = isPooled
        preparation = Preparation()
    }

    /// For the callers that wait: why there is no connection.
    mutating func connectFailed(_ reason: String) { absence = "not connected: \(reason)" }

    /// What had been sent ends here with an unknown outcome; what had not waits for the next connection.
    mutating func disconnected(_ reason: String) -> [Ended] {
        absence = "not connected: \(reason)"
        generation = nil
        cancelling = .none
        giveUpAt = nil
        var ended = inFlight.map { Ended(id: $0.job.id, error: .connectionLost(reason: reason)) }
        for sent in inFlight { repeated.remove(sent.job.id) }
        inFlight.removeAll()
        ended += queue.filter { $0.onlyGeneration != nil }.map(wrongGeneration)
        queue.removeAll { $0.onlyGeneration != nil }
        return ended
    }

    /// There will be no other connection.
    mutating func end(_ error: PostgresError) -> [Ended] {
        var ended = disconnected(error.description)
        ended += queue.map { Ended(id: $0.id, error: error) }
        queue.removeAll()
        repeated.removeAll()
        return ended
    }

    private func wrongGeneration(_ job: Job) -> Ended {
        Ended(id: job.id, error: .unavailable(reason: "the connection for which it was meant is gone"))
    }

    private static func name(of job: Job) -> String { job.statements.first ?? "a round trip" }
}

/// Identifies a job within its connection.
struct JobID: Hashable, Sendable {
    let value: UInt64
}
