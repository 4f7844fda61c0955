internal import Logging
internal import NIOConcurrencyHelpers
internal import ParleyCore

/// Joins and leaves of this node, and the sessions that it takes up. They come in storms, when a node or a network has
/// gone: so all that come in while one statement is under way are the next statement.
final class MemberDesk: Sendable {
    typealias Answer = MemberStatement.Answer

    let seat: WriterSeat
    let announcer: Announcer
    let configuration: StoreConfiguration
    private let logger: Logger
    private let state = NIOLockedValueBox(State())

    struct State {
        var queue = MemberQueue()
        var takeUps = TakeUpQueue()
        /// Whether, of the two kinds, those that take sessions up come first now.
        var takeUpsComeFirst = false
        var waiters: [Int: CheckedContinuation<Result<Answer, StoreError>, Never>] = [:]
        var lastID = 0
        /// Somebody works through the queue.
        var isBusy = false
        /// When those aside are tried next.
        var asideAt = ContinuousClock.now
    }

    private enum Work {
        case batch([MemberRequest])
        case takeUps([TakeUpRequest])
        /// For rooms that were locked.
        case aside([MemberRequest])
        /// There are only some aside, and it is not their time.
        case pause
        case none
    }

    /// How long a locked room is left alone.
    private static let asideEvery = Duration.milliseconds(100)
    /// How long somebody new may wait while there is nothing to do but for those aside.
    private static let pause = Duration.milliseconds(10)

    init(seat: WriterSeat, seal: ChannelSeal, configuration: StoreConfiguration, logger: Logger) {
        self.seat = seat
        self.announcer = Announcer(connection: seat.connection, isOn: configuration.announce, seal: seal)
        self.configuration = configuration
        self.logger = logger
    }

    /// Answers within the request timeout, a little more when the statement under way takes all of it.
    func ask(_ order: MemberRequest.Order) async throws(StoreError) -> Answer {
        let deadline = ContinuousClock.now + configuration.requestTimeout
        let result: Result<Answer, StoreError> = await withCheckedContinuation { continuation in
            begin { state in
                state.lastID += 1
                let request = MemberRequest(id: state.lastID, order: order, deadline: deadline)
                guard state.queue.add(request) else { return false }
                state.waiters[request.id] = continuation
                return true
            } orElse: {
                continuation.resume(returning: .failure(.unavailable(reason: "too many joins and leaves wait")))
            }
        }
        return try result.get()
    }

    /// Puts something into a queue and sees to it that somebody works through the queues.
    func begin(adding add: (inout State) -> Bool, orElse: () -> Void) {
        let (isTaken, begins) = state.withLockedValue { state in
            guard add(&state) else { return (false, false) }
            defer { state.isBusy = true }
            return (true, !state.isBusy)
        }
        if !isTaken { orElse() }
        // In a task of its own: it works for others too, whatever becomes of this caller.
        if begins { Task { await self.workThroughQueue() } }
    }

    private func workThroughQueue() async {
        while true {
            let (late, lateTakeUps, work) = state.withLockedValue { state in
                (state.queue.expire(at: .now), state.takeUps.expire(at: .now), Self.nextWork(&state))
            }
            answer(late, with: .failure(.unavailable(reason: "the room or the database was not available in time")))
            for request in lateTakeUps {
                request.answer(.failure(.unavailable(reason: "the database was not available in time")))
            }
            switch work {
            case .batch(let requests):
                let start = ContinuousClock.now
                await run(requests, skipLocked: false)
                await Crowd.rest(after: requests.count, since: start)
            case .takeUps(let requests):
                let start = ContinuousClock.now
                await run(requests)
                await Crowd.rest(after: requests.count, since: start)
            case .aside(let requests):
                await run(requests, skipLocked: true)
                state.withLockedValue { $0.queue.forgetRoomsWhenDone() }
            case .pause:
                // Ends early when the task is cancelled, which nobody does.
                try? await Task.sleep(for: Self.pause)
            case .none: return
            }
        }
    }

    private static func nextWork(_ state: inout State) -> Work {
        let now = ContinuousClock.now
        if state.queue.hasAside, state.asideAt <= now {
            state.asideAt = now + asideEvery
            return .aside(state.queue.nextAside())
        }
        state.takeUpsComeFirst.toggle()
        if state.takeUpsComeFirst, let work = nextTakeUps(&state) { return work }
        let batch = state.queue.nextBatch()
        if !batch.isEmpty { return .batch(batch) }
        if let work = nextTakeUps(&state) { return work }
        if state.queue.hasAside { return .pause }
        state.isBusy = false
        return .none
    }

    private static func nextTakeUps(_ state: inout State) -> Work? {
        let batch = state.takeUps.nextBatch()
        return batch.isEmpty ? nil : .takeUps(batch)
    }

    private func answer(_ requests: [MemberRequest], with result: Result<Answer, StoreError>) {
        guard !requests.isEmpty else { return }
        let waiters = state.withLockedValue { state in requests.compactMap { state.waiters.removeValue(forKey: $0.id) }
        }
        for waiter in waiters { waiter.resume(returning: result) }
    }

    // MARK: One batch

    private func run(_ requests: [MemberRequest], skipLocked: Bool) async {
        do throws(PostgresError) {
            let answers = try await change(requests, skipLocked: skipLocked)
            conclude(requests, answers)
        } catch {
            if error.isLockTimeout, !skipLocked {
                await run(requests, skipLocked: true)
            } else if error.isAboutTheData, requests.count > 1 {
                let middle = requests.count / 2
                await run(Array(requests[..<middle]), skipLocked: skipLocked)
                await run(Array(requests[middle...]), skipLocked: skipLocked)
            } else {
                answer(requests, with: .failure(StoreError(error)))
            }
        }
    }

    private func conclude(_ requests: [MemberRequest], _ answers: [Answer]) {
        var aside: [(MemberRequest, RoomNumber?)] = []
        for (request, answer) in zip(requests, answers) {
            switch answer.outcome {
            case .done: self.answer([request], with: .success(answer))
            case .overtaken: self.answer([request], with: overtaken(request, answer))
            case .gone: self.answer([request], with: .failure(.roomNotFound))
            case .locked: aside.append((request, answer.room))
            case .unknown(let outcome):
                // Whether anything was done nobody knows; what can be done twice may be asked for again.
                logger.error("parley.change_members gave an unknown outcome", metadata: ["outcome": "\(outcome)"])
                self.answer([request], with: .failure(.unavailable(reason: "the database gave an unknown outcome")))
            }
        }
        guard !aside.isEmpty else { return }
        state.withLockedValue { state in
            state.queue.setAside(aside)
            state.asideAt = .now + Self.asideEvery
        }
    }

    /// Nothing is to be left any more; but who wants to join must hear that it has not.
    private func overtaken(_ request: MemberRequest, _ answer: Answer) -> Result<Answer, StoreError> {
        switch request.order {
        case .join: .failure(.unavailable(reason: "a newer socket has the session"))
        case .leave: .success(answer)
        }
    }

    private func change(_ requests: [MemberRequest], skipLocked: Bool) async throws(PostgresError) -> [Answer] {
        let (changed, term, mayBeDone) = try await attempt(
            MemberStatement.statement, until: requests.map(\.deadline).min() ?? .now
        ) { term in
            MemberStatement.parameters(requests, term: term, lease: configuration.lease, skipLocked: skipLocked)
        } reading: { rows in
            MemberStatement.answers(rows)
        }
        announce(changed.batch, changed.answers, all: mayBeDone, in: term)
        return changed.answers
    }

    /// - Parameter all: Also of rooms that the batch did not change, since a lost one may have done so.
    private func announce(_ batch: Int64, _ answers: [Answer], all: Bool, in term: WriterSeat.Term) {
        var newest: [RoomNumber: Int64] = [:]
        for answer in answers where all || answer.step != nil {
            guard let room = answer.room, answer.rosterSeq > 0 else { continue }
            newest[room] = max(newest[room] ?? 0, answer.rosterSeq)
        }
        let pointers = newest.map { RoomPointer(room: $0.key, rosterSeq: $0.value) }
        announcer.say(
            Announcement(writer: term.writer, batch: batch, pointers: pointers), generation: term.generation)
    }
}
