package import Logging
import NIOConcurrencyHelpers
package import NIOCore
package import ParleyCore

/// What became of inputs, told to the rooms and to the sockets.
package protocol WriterDelegate: AnyObject, Sendable {
    /// Durable, to be shown. A `base` is nil when only the log knows the place.
    func applied(_ parts: [(part: WriterQueue.Part, base: Seq?)])
    func settled(_ inputs: [Input], as end: InputEnd)
    /// These members of the room are on other nodes, and `inputs` of theirs will not be applied. Of the others the room has
    /// told nobody up to `claim`.
    func moved(_ members: Set<ClientID>, of room: RoomNumber, claim: Int64, inputs: [Input])
}

package enum InputEnd: Sendable, Equatable {
    case applied
    /// Was not given to the database, or certainly not applied.
    case failed(RequestError)
    /// Takes too long; it may yet turn out to be applied.
    case leftOpen
}

/// Adaptive group commit. With no transaction in flight or just begun, what comes is written at once; what comes meanwhile
/// is written together by the next one. So a quiet room waits for nothing, and under load the number of transactions stays
/// small while their size grows.
package final class Writer: Sendable {
    private struct State {
        var queue = WriterQueue()
        var underWay: [WriterQueue.Way: UnderWay] = [:]
        var evictions: [Eviction] = []

        /// Who was evicted while a batch was under way must not be in the next one.
        mutating func removeEvicted(from room: RoomNumber) {
            for eviction in evictions { queue.remove(eviction.subscriptions, from: room) }
        }

        mutating func evictionsDone() -> [CheckedContinuation<Void, Never>] {
            let done = evictions.filter { eviction in
                !underWay.values.contains { batch in
                    batch.inputs.contains { eviction.subscriptions.contains($0.ticket.subscription) }
                }
            }
            evictions.removeAll { eviction in done.contains { $0.subscriptions == eviction.subscriptions } }
            return done.map(\.continuation)
        }
    }

    /// A batch that the store has and has not answered.
    private struct UnderWay {
        var inputs: [Input]
        /// The inputs whose clients were told that it takes too long.
        var told: Set<Ticket> = []
    }

    private struct Eviction {
        var subscriptions: Set<SubscriptionID>
        var continuation: CheckedContinuation<Void, Never>
    }

    private let state = NIOLockedValueBox(State())
    /// Each wakes when its way has something to write.
    private let together = Sleeper()
    private let apart = Sleeper()
    private let store: any RoomStore
    private let logger: Logger
    /// How long an input waits for the database before its client is told `unavailable`.
    private let patience: TimeAmount
    /// From the start of a transaction to that of the next.
    private let rhythm: TimeAmount
    private let loop: any EventLoop
    private let delegate: NIOLockedValueBox<(any WriterDelegate)?> = NIOLockedValueBox(nil)

    /// How long a room that was found locked is left alone.
    private static let apartPause: Duration = .milliseconds(50)

    package init(store: any RoomStore, patience: TimeAmount, rhythm: TimeAmount, loop: any EventLoop, logger: Logger) {
        self.store = store
        self.patience = patience
        self.rhythm = rhythm
        self.loop = loop
        self.logger = logger
    }

    /// Must be set before `run`. Not owned.
    package func report(to delegate: any WriterDelegate) { self.delegate.withLockedValue { $0 = delegate } }

    /// From any thread. False when the queue is full: nothing was taken.
    func enqueue(_ change: [UInt8], set: ValueSet?, ticket: Ticket, of subscription: Subscription) -> Bool {
        let input = Input(
            ticket: ticket, member: subscription.clientID, claim: subscription.claim, after: subscription.seen,
            change: change, set: set, deadline: .now() + patience)
        let room = subscription.room
        return mutate { $0.queue.enqueue(input, room: room) }
    }

    /// An id of this member was refused before it came here; the log is to know of it.
    func refuse(_ id: Int64, of member: ClientID, on subscription: SubscriptionID) {
        mutate { $0.queue.refuse(id, of: member, on: subscription) }
    }

    /// The subscription has ended.
    func forget(_ subscription: SubscriptionID) { mutate { $0.queue.forget(subscription) } }

    /// The loops of these members have heard of what was given up. Once for each answer that gave something up.
    func readmit(_ subscriptions: Set<SubscriptionID>) { mutate { $0.queue.readmit(subscriptions) } }

    /// Takes out what the subscriptions have waiting. When this returns, nothing that they sent can be applied any more:
    /// what the log says of them is final, as far as this node goes.
    package func evict(_ subscriptions: Set<SubscriptionID>, from rooms: [RoomNumber]) async {
        await withCheckedContinuation { continuation in
            // At once, so that what a batch under way puts back is either taken out here or finds the eviction.
            let done = state.withLockedValue { state in
                for room in rooms { state.queue.remove(subscriptions, from: room) }
                state.evictions.append(Eviction(subscriptions: subscriptions, continuation: continuation))
                return state.evictionsDone()
            }
            for continuation in done { continuation.resume() }
        }
    }

    /// Gives up all that waits: its clients send it again.
    func giveUpAll() {
        let inputs = mutate { $0.queue.giveUpWaiting() }
        if !inputs.isEmpty { settle(inputs, as: .failed(Self.tooLate)) }
    }

    package var waitingBytes: Int { state.withLockedValue { $0.queue.waitingBytes } }

    /// Runs until the task is cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.writeTogether() }
            group.addTask { await self.writeApart() }
            group.addTask { await self.answerTheLate() }
        }
    }

    private func writeTogether() async {
        var rhythm = Rhythm(rhythm)
        while !Task.isCancelled {
            guard state.withLockedValue({ $0.queue.has(.together) }) else {
                await together.sleep()
                continue
            }
            await rhythm.wait(on: loop)
            let parts = state.withLockedValue { state in
                let parts = state.queue.nextBatch(tag: randomTag)
                if !parts.isEmpty { state.underWay[.together] = UnderWay(inputs: parts.flatMap(\.inputs)) }
                return parts
            }
            // What waited was taken out, or was answered late, meanwhile.
            guard !parts.isEmpty else { continue }
            do {
                let outcomes = try await store.append(parts.map(\.append))
                conclude(parts, outcomes)
            } catch {
                giveUp(parts, because: error)
            }
            landed(.together)
        }
    }

    private func writeApart() async {
        while !Task.isCancelled {
            let part = state.withLockedValue { state in
                let part = state.queue.nextApart(tag: randomTag)
                if let part { state.underWay[.apart] = UnderWay(inputs: part.inputs) }
                return part
            }
            guard let part else {
                await apart.sleep()
                continue
            }
            var pause = Duration.zero
            do {
                let outcome = try await store.appendApart(part.append)
                if outcome == .locked { pause = Self.apartPause }
                conclude([part], [outcome])
            } catch {
                giveUp([part], because: error)
            }
            landed(.apart)
            do { try await Task.sleep(for: pause) } catch { return }
        }
    }

    private func landed(_ way: WriterQueue.Way) {
        let done = state.withLockedValue { state in
            state.underWay[way] = nil
            return state.evictionsDone()
        }
        for continuation in done { continuation.resume() }
    }

    /// Tells clients `unavailable` when their inputs wait for longer than `patience`.
    private func answerTheLate() async {
        let pause = Duration.nanoseconds(patience.nanoseconds / 20)
        while !Task.isCancelled {
            do { try await Task.sleep(for: pause) } catch { return }
            let now = NIODeadline.now()
            let (expired, open) = state.withLockedValue { state in
                let expired = state.queue.expire(at: now)
                var open: [Input] = []
                for way in [WriterQueue.Way.together, .apart] {
                    guard let batch = state.underWay[way] else { continue }
                    let late = batch.inputs.filter { $0.deadline <= now && !batch.told.contains($0.ticket) }
                    state.underWay[way]?.told.formUnion(late.map(\.ticket))
                    open += late
                }
                return (expired, open)
            }
            if !expired.isEmpty { settle(expired, as: .failed(Self.tooLate)) }
            if !open.isEmpty { settle(open, as: .leftOpen) }
        }
    }

    private func conclude(_ parts: [WriterQueue.Part], _ outcomes: [AppendOutcome]) {
        var applied: [(part: WriterQueue.Part, base: Seq?)] = []
        var judged: [(part: WriterQueue.Part, base: Seq?)] = []
        for (part, outcome) in zip(parts, outcomes) {
            switch outcome {
            case .applied(let base): applied.append((part, base))
            case .judged(let base, let verdicts):
                let (accepted, refused) = mutate { $0.queue.judged(part, verdicts) }
                if !accepted.inputs.isEmpty { judged.append((accepted, base)) }
                for (input, verdict) in refused { settle([input], as: .failed(Self.error(for: verdict))) }
            case .appliedUnseen: applied.append((part, nil))
            case .moved(let claim, let members) where claim > part.append.claim:
                moved(part, claim: claim, members: members)
            case .moved:
                // The room's claim went back: the database has lost its tail, and its members will be enrolled anew.
                settle(mutate { $0.queue.giveUp(part) }, as: .failed(Self.tooLate))
            case .locked: putBack(part, to: .apart)
            case .gone:
                mutate { $0.queue.finished(part) }
                settle(part.inputs, as: .failed(RequestError(.roomNotFound, "the room is gone")))
            case .invalid(let reason):
                logger.error(
                    "the database refused a change", metadata: ["room": "\(part.append.room)", "reason": "\(reason)"])
                mutate { $0.queue.refuse(part) }
                settle(part.inputs, as: .failed(RequestError(.badRequest, "the database cannot store this")))
            }
        }
        guard !applied.isEmpty || !judged.isEmpty else { return }
        let delegate = delegate.withLockedValue { $0 }
        let all = applied + judged
        delegate?.applied(all)
        delegate?.settled(all.flatMap(\.part.inputs), as: .applied)
        mutate { state in
            for (part, _) in applied { state.queue.finished(part) }
        }
    }

    private func giveUp(_ parts: [WriterQueue.Part], because error: StoreError) {
        for part in parts { settle(mutate { $0.queue.giveUp(part) }, as: .failed(Self.tooLate)) }
        logger.warning("a batch was not written", metadata: ["error": "\(error)"])
    }

    private func putBack(_ part: WriterQueue.Part, to way: WriterQueue.Way) {
        mutate { state in
            state.queue.putBack(part, to: way)
            state.removeEvicted(from: part.append.room)
        }
    }

    private func moved(_ part: WriterQueue.Part, claim: Int64, members: Set<ClientID>) {
        let inputs = mutate { state in
            defer { state.removeEvicted(from: part.append.room) }
            return state.queue.moved(part, claim: claim, members: members)
        }
        delegate.withLockedValue { $0 }?.moved(members, of: part.append.room, claim: claim, inputs: inputs)
    }

    private func settle(_ inputs: [Input], as end: InputEnd) {
        delegate.withLockedValue { $0 }?.settled(inputs, as: end)
    }

    /// Changes the state and wakes the loops that have work then.
    @discardableResult
    private func mutate<Result>(_ change: (inout State) -> Result) -> Result {
        let (result, isWorkTogether, isWorkApart) = state.withLockedValue { state in
            (change(&state), state.queue.has(.together), state.queue.has(.apart))
        }
        if isWorkTogether { together.wake() }
        if isWorkApart { apart.wake() }
        return result
    }

    private static func error(for verdict: Verdict) -> RequestError {
        switch verdict {
        case .conflict(let values):
            var error = RequestError(.conflict, "\"if\" did not hold; look at \"values\" and \"versions\"")
            error.values = values
            return error
        case .tooLarge, .accepted:
            return RequestError(.tooLarge, "the values of the room together would be larger than they may")
        }
    }

    private static let tooLate = RequestError(.unavailable, "the database could not be reached in time; send it again")
}

@Sendable private func randomTag() -> Tag { Tag.random(in: .min ... .max) }
