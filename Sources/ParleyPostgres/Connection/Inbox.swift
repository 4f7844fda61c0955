internal import NIOConcurrencyHelpers

/// How callers on any thread reach the thread of a connection.
final class Inbox: Sendable {
    struct Contents {
        var jobs: [ConnectionJob] = []
        var abandoned: [JobID] = []
        /// Of the connections whose cancel request has returned, the generations.
        var cancelsReturned: [Int] = []
        /// The connection is to be given up for a new one.
        var reconnects = false
        var stops = false

        var isEmpty: Bool {
            jobs.isEmpty && abandoned.isEmpty && cancelsReturned.isEmpty && !reconnects && !stops
        }
    }

    private struct State {
        var contents = Contents()
        var isAsleep = false
        var nextID: UInt64 = 0
        var unfinishedJobs = 0
        var unfinishedBytes = 0
        /// What everyone is told once there will be no connection any more.
        var refusal: PostgresError?

        /// Whether the thread sleeps and must be woken: only the first who finds it asleep does that.
        mutating func wakes() -> Bool {
            defer { isAsleep = false }
            return isAsleep
        }
    }

    let wakeUp = WakeUp()
    private let jobsMax: Int
    private let bytesMax: Int
    private let state = NIOLockedValueBox(State())

    init(jobsMax: Int, bytesMax: Int) {
        self.jobsMax = jobsMax
        self.bytesMax = bytesMax
    }

    // MARK: Any thread

    func nextID() -> JobID {
        state.withLockedValue { state in
            state.nextID += 1
            return JobID(value: state.nextID)
        }
    }

    /// nil, or why the job was not taken.
    ///
    /// - Parameter jobsBefore: How many unfinished ones it may come behind; nil for as many as there may be.
    func submit(_ job: ConnectionJob, jobsBefore: Int? = nil) -> PostgresError? {
        let (refusal, wakes) = state.withLockedValue { state -> (PostgresError?, Bool) in
            if let refusal = state.refusal { return (refusal, false) }
            let isFull =
                state.unfinishedJobs >= jobsMax || state.unfinishedJobs > jobsBefore ?? .max
                || (state.unfinishedJobs > 0 && state.unfinishedBytes + job.byteCount > bytesMax)
            guard !isFull else { return (.unavailable(reason: "too much waits for the database already"), false) }
            state.unfinishedJobs += 1
            state.unfinishedBytes += job.byteCount
            state.contents.jobs.append(job)
            return (nil, state.wakes())
        }
        if wakes { wakeUp.signal() }
        return refusal
    }

    func abandon(_ id: JobID) { tell { $0.abandoned.append(id) } }

    func cancelReturned(generation: Int) { tell { $0.cancelsReturned.append(generation) } }

    func reconnect() { tell { $0.reconnects = true } }

    func stop() { tell { $0.stops = true } }

    private func tell(_ change: (inout Contents) -> Void) {
        let wakes = state.withLockedValue { state in
            guard state.refusal == nil else { return false }
            change(&state.contents)
            return state.wakes()
        }
        if wakes { wakeUp.signal() }
    }

    // MARK: The connection's thread

    var isStopped: Bool { state.withLockedValue { $0.contents.stops } }

    /// All that has come. `stops` stays set.
    func take() -> Contents {
        state.withLockedValue { state in
            var contents = Contents()
            contents.stops = state.contents.stops
            swap(&contents, &state.contents)
            return contents
        }
    }

    /// Gives back the room that a job had taken.
    func finished(byteCount: Int) {
        state.withLockedValue { state in
            state.unfinishedJobs -= 1
            state.unfinishedBytes -= byteCount
        }
    }

    /// From here to `awake`, whatever comes signals `wakeUp`. False when something has come already.
    func fallAsleep() -> Bool {
        state.withLockedValue { state in
            guard state.contents.isEmpty else { return false }
            state.isAsleep = true
            return true
        }
    }

    /// A signal may come late, after the thread was awake for another reason, and costs one more round then.
    func awake(signalled: Bool) {
        state.withLockedValue { $0.isAsleep = false }
        if signalled { wakeUp.clear() }
    }

    /// Refuses all that comes from now on, and returns what had come.
    func end(_ refusal: PostgresError) -> Contents {
        state.withLockedValue { state in
            state.refusal = refusal
            defer { state.contents = Contents() }
            return state.contents
        }
    }
}
