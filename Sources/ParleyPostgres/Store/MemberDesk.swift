internal import Logging
internal import NIOConcurrencyHelpers
internal import ParleyCore

/// Joins and leaves of this node. They come in storms, when a node or a network has gone: so all that come in while
/// one statement is under way are the next statement.
final class MemberDesk: Sendable {
    typealias Answer = MemberStatement.Answer

    private let seat: WriterSeat
    private let announcer: Announcer
    private let configuration: StoreConfiguration
    private let logger: Logger
    private let state = NIOLockedValueBox(State())

    private struct State {
        var queue = MemberQueue()
        var waiters: [Int: CheckedContinuation<Result<Answer, StoreError>, Never>] = [:]
        var lastID = 0
        /// Somebody works through the queue.
        var isBusy = false
        /// When those aside are tried next.
        var asideAt = ContinuousClock.now
    }

    private enum Work {
        case batch([MemberRequest])
        /// For rooms that were locked.
        case aside([MemberRequest])
        /// There are only some aside, and it is not their time.
        case pause
        case none
    }

    private static let attemptsMax = 8
    /// How long a locked room is left alone.
    private static let asideEvery = Duration.milliseconds(100)
    /// How long somebody new may wait while there is nothing to do but for those aside.
    private static let pause = Duration.milliseconds(10)

    init(seat: WriterSeat, configuration: StoreConfiguration, logger: Logger) {
        self.seat = seat
        self.announcer = Announcer(connection: seat.connection, isOn: configuration.announce)
        self.configuration = configuration
        self.logger = logger
    }

    /// Answers within the request timeout, a little more when the statement under way takes all of it.
    func ask(_ order: MemberRequest.Order) async throws(StoreError) -> Answer {
        let deadline = ContinuousClock.now + configuration.requestTimeout
        let result: Result<Answer, StoreError> = await withCheckedContinuation { continuation in
            let (isTaken, begins) = state.withLockedValue { state in
                state.lastID += 1
                let request = MemberRequest(id: state.lastID, order: order, deadline: deadline)
                guard state.queue.add(request) else { return (false, false) }
                state.waiters[request.id] = continuation
                defer { state.isBusy = true }
                return (true, !state.isBusy)
            }
            if !isTaken {
                continuation.resume(returning: .failure(.unavailable(reason: "too many joins and leaves wait")))
            }
            // In a task of its own: it works for others too, whatever becomes of this caller.
            if begins { Task { await self.workThroughQueue() } }
        }
        return try result.get()
    }

    private func workThroughQueue() async {
        while true {
            let (late, work) = state.withLockedValue { state in
                (state.queue.expire(at: .now), Self.nextWork(&state))
            }
            answer(late, with: .failure(.unavailable(reason: "the room or the database was not available in time")))
            switch work {
            case .batch(let requests): await run(requests, skipLocked: false)
            case .aside(let requests):
                await run(requests, skipLocked: true)
                state.withLockedValue { $0.queue.forgetRoomsWhenDone() }
            case .pause: try? await Task.sleep(for: Self.pause)
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
        let batch = state.queue.nextBatch()
        if !batch.isEmpty { return .batch(batch) }
        if state.queue.hasAside { return .pause }
        state.isBusy = false
        return .none
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
            case .gone: self.answer([request], with: .failure(.roomNotFound))
            case .locked: aside.append((request, answer.room))
            }
        }
        guard !aside.isEmpty else { return }
        state.withLockedValue { state in
            state.queue.setAside(aside)
            state.asideAt = .now + Self.asideEvery
        }
    }

    /// Repeats what may be repeated: all of it leaves a member or none, however often it is done.
    private func change(_ requests: [MemberRequest], skipLocked: Bool) async throws(PostgresError) -> [Answer] {
        let deadline = requests.map(\.deadline).min() ?? .now
        var attempts = 0
        var mayBeDone = false
        while true {
            attempts += 1
            let term = try await seat.take(until: deadline)
            announcer.sayAgain(generation: term.generation)
            do throws(PostgresError) {
                let rows = try await seat.connection.execute(
                    MemberStatement.statement,
                    MemberStatement.parameters(
                        requests, term: term, lease: configuration.lease, skipLocked: skipLocked),
                    onlyGeneration: term.generation)
                if let (batch, answers) = MemberStatement.answers(rows) {
                    announce(batch, answers, all: mayBeDone, in: term)
                    return answers
                }
                try await seat.fenced(term)
            } catch {
                switch error {
                case .server: guard error.isConflict else { throw error }
                case .connectionLost:
                    seat.leave(term)
                    mayBeDone = true
                case .unavailable: guard seat.connection.generation != term.generation else { throw error }
                case .timedOut, .closed, .cancelled, .fatal: throw error
                }
                guard attempts < Self.attemptsMax, ContinuousClock.now < deadline else { throw error }
            }
            guard attempts < Self.attemptsMax else {
                throw .unavailable(reason: "these joins and leaves were turned away \(attempts) times")
            }
        }
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
