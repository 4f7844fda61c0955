package import Logging
import NIOConcurrencyHelpers
package import NIOCore
package import ParleyCore

/// What became of inputs, told to the rooms and to the sockets.
package protocol WriterDelegate: AnyObject, Sendable {
    /// Durable, to be shown. A `base` is nil when only the log knows the place.
    func applied(_ parts: [(part: WriterQueue.Part, base: Seq?)])
    func answered(_ inputs: [Input], with end: InputEnd)
    /// These members of the room are on other nodes, and `inputs` of theirs will not be applied. Of the others
    /// whose claim is `since` or higher the room has told nobody up to `claim`.
    func moved(_ members: Set<ClientID>, of room: RoomNumber, since: Int64, claim: Int64, inputs: [Input])
}

/// Adaptive group commit. With no transaction in flight or just begun, what comes is written at once; what comes
/// meanwhile is written together by the next one. So a quiet room waits for nothing, and under load the number of
/// transactions stays small while their size grows.
package final class Writer: Sendable {
    private struct State {
        var machine = WriterMachine()
        var evictions: [UInt64: CheckedContinuation<Void, Never>] = [:]

        mutating func completeEvictions() -> [CheckedContinuation<Void, Never>] {
            machine.takeCompleteEvictions().compactMap { evictions.removeValue(forKey: $0) }
        }
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

    /// How long all rooms that were found locked are left alone, when one is locked still.
    private static let apartPause: Duration = .milliseconds(50)

    package init(store: any RoomStore, patience: TimeAmount, rhythm: TimeAmount, loop: any EventLoop, logger: Logger) {
        self.store = store
        self.patience = patience
        self.rhythm = rhythm
        self.loop = loop
        self.logger = logger
    }

    /// Must be set before `run`. Writer and delegate hold each other from then on, until the process ends.
    package func report(to delegate: any WriterDelegate) { self.delegate.withLockedValue { $0 = delegate } }

    /// On the subscription's loop. False when nothing was taken: the queue is full, or the subscription has to hear first what
    /// of it was given up.
    func enqueue(_ change: [UInt8], set: ValueSet?, ticket: Ticket, of subscription: Subscription) -> Bool {
        let input = Input(
            ticket: ticket, member: subscription.clientID, claim: subscription.claim, after: subscription.seen,
            change: change, set: set, isRuled: subscription.isRuled, deadline: .now() + patience)
        let room = subscription.room
        return mutate { $0.enqueue(input, room: room) }
    }

    /// An id of this member was refused before it came here; the log is to know of it.
    func refuse(_ id: Int64, of member: ClientID, on subscription: SubscriptionID) {
        mutate { $0.refuse(id, of: member, on: subscription) }
    }

    /// The subscription has ended.
    func forget(_ subscription: SubscriptionID) { mutate { $0.forget(subscription) } }

    /// The loops of these members have heard of what was given up. Once for each answer that gave something up.
    func readmit(_ subscriptions: Set<SubscriptionID>) { mutate { $0.readmit(subscriptions) } }

    /// Takes out what the subscriptions have waiting. When this returns, nothing that they sent can be applied any
    /// more: what the log says of them is final, as far as this node goes.
    package func evict(_ subscriptions: Set<SubscriptionID>, from rooms: [RoomNumber]) async {
        await withCheckedContinuation { continuation in
            let done = state.withLockedValue { state in
                let number = state.machine.evict(subscriptions, from: rooms)
                state.evictions[number] = continuation
                return state.completeEvictions()
            }
            for continuation in done { continuation.resume() }
        }
    }

    /// Gives up all that waits: its clients send it again.
    func giveUpAll() { perform(mutate { $0.giveUpAll() }) }

    package var waitingBytes: Int { state.withLockedValue(\.machine.waitingBytes) }

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
            guard state.withLockedValue({ $0.machine.has(.together) }) else {
                await together.sleep()
                continue
            }
            await rhythm.wait(on: loop)
            let parts = state.withLockedValue { $0.machine.begin(.together, tag: randomTag) }
            // What waited was taken out, or was answered late, meanwhile.
            guard !parts.isEmpty else { continue }
            do {
                conclude(.together, parts, try await store.append(parts.map(\.append)))
            } catch {
                giveUp(parts, because: error)
            }
            rhythm.end(at: .now())
            landed(.together)
        }
    }

    private func writeApart() async {
        while !Task.isCancelled {
            let (parts, hasOthers) = state.withLockedValue { state in
                (state.machine.begin(.apart, tag: randomTag), state.machine.has(.apart))
            }
            guard let part = parts.first else {
                await apart.sleep()
                continue
            }
            var pause = Duration.zero
            do {
                // Of several that are held, the one that is free again must not wait for the others.
                let outcome = try await store.appendApart(part.append, waits: !hasOthers)
                if outcome == .locked { pause = Self.apartPause }
                conclude(.apart, parts, [outcome])
            } catch {
                giveUp(parts, because: error)
            }
            landed(.apart)
            do { try await Task.sleep(for: pause) } catch { return }
        }
    }

    /// Tells clients `unavailable` when their inputs wait for longer than `patience`.
    private func answerTheLate() async {
        let pause = Duration.nanoseconds(patience.nanoseconds / 20)
        while !Task.isCancelled {
            do { try await Task.sleep(for: pause) } catch { return }
            perform(state.withLockedValue { $0.machine.late(at: .now()) })
        }
    }

    private func conclude(_ way: WriterQueue.Way, _ parts: [WriterQueue.Part], _ outcomes: [AppendOutcome]) {
        for (part, outcome) in zip(parts, outcomes) {
            guard case .invalid(let reason) = outcome else { continue }
            logger.error(
                "the database refused a change", metadata: ["room": "\(part.append.room)", "reason": "\(reason)"])
        }
        perform(mutate { $0.conclude(way, parts, outcomes) })
    }

    private func giveUp(_ parts: [WriterQueue.Part], because error: StoreError) {
        perform(mutate { $0.giveUp(parts) })
        logger.warning("a batch was not written", metadata: ["error": "\(error)"])
    }

    private func landed(_ way: WriterQueue.Way) {
        mutate { $0.landed(way) }
        let done = state.withLockedValue { $0.completeEvictions() }
        for continuation in done { continuation.resume() }
    }

    private func perform(_ effects: [WriterMachine.Effect]) {
        guard !effects.isEmpty, let delegate = delegate.withLockedValue({ $0 }) else { return }
        for effect in effects {
            switch effect {
            case .applied(let parts): delegate.applied(parts)
            case .answered(let inputs, let end): delegate.answered(inputs, with: end)
            case .moved(let members, let room, let since, let claim, let inputs):
                delegate.moved(members, of: room, since: since, claim: claim, inputs: inputs)
            }
        }
    }

    /// Lets the machine do something and wakes the loops that have work then.
    @discardableResult
    private func mutate<Result>(_ change: (inout WriterMachine) -> Result) -> Result {
        let (result, isWorkTogether, isWorkApart) = state.withLockedValue { state in
            (change(&state.machine), state.machine.has(.together), state.machine.has(.apart))
        }
        if isWorkTogether { together.wake() }
        if isWorkApart { apart.wake() }
        return result
    }
}

@Sendable private func randomTag() -> Tag { Tag.random(in: .min ... .max) }
