package import NIOCore
package import ParleyCore

package enum InputEnd: Sendable, Equatable {
    case applied
    /// Was not given to the database, or certainly not applied.
    case failed(RequestError)
    /// Takes too long; it may yet turn out to be applied.
    case leftOpen
}

/// What the writer gives to the store next, and what the store's answers mean for the inputs and for those behind them.
///
/// Pure: no clock, no lock, no store. On each way one batch is under way at most: `begin`, then `conclude` or `giveUp`, and
/// when what these say was done, `landed`.
package struct WriterMachine: Sendable {
    package enum Effect: Sendable {
        /// Durable, to be shown. A `base` is nil when only the log knows the place.
        case applied([(part: WriterQueue.Part, base: Seq?)])
        case answered([Input], with: InputEnd)
        /// These members of the room are on other nodes, and `inputs` of theirs will not be applied. Of the others whose
        /// claim is `since` or higher the room has told nobody up to `claim`.
        case moved(Set<ClientID>, of: RoomNumber, since: Int64, claim: Int64, inputs: [Input])
    }

    /// A batch that the store has and has not answered.
    private struct UnderWay {
        var inputs: [Input]
        /// The inputs whose clients were told that it takes too long.
        var told: Set<Ticket> = []
        /// What of it turned out to be applied, or judged.
        var written: [WriterQueue.Part] = []
    }

    /// What these subscriptions have sent is not to be written any more.
    private struct Eviction {
        var number: UInt64
        var subscriptions: Set<SubscriptionID>
    }

    private var queue = WriterQueue()
    private var underWay: [WriterQueue.Way: UnderWay] = [:]
    private var evictions: [Eviction] = []
    private var lastEviction: UInt64 = 0

    package init() {}

    package func has(_ way: WriterQueue.Way) -> Bool { queue.has(way) }
    package var waitingBytes: Int { queue.waitingBytes }

    // MARK: - Inputs

    /// False when it was not taken.
    package mutating func enqueue(_ input: Input, room: RoomNumber) -> Bool { queue.enqueue(input, room: room) }

    package mutating func refuse(_ id: Int64, of member: ClientID, on subscription: SubscriptionID) {
        queue.refuse(id, of: member, on: subscription)
    }

    package mutating func forget(_ subscription: SubscriptionID) { queue.forget(subscription) }
    package mutating func readmit(_ subscriptions: Set<SubscriptionID>) { queue.readmit(subscriptions) }

    /// Takes out what the subscriptions have waiting. It is complete when `takeCompleteEvictions` names its number: then
    /// nothing that they sent can be applied any more.
    package mutating func evict(_ subscriptions: Set<SubscriptionID>, from rooms: [RoomNumber]) -> UInt64 {
        // At once, so that what a batch under way puts back is either taken out here or finds the eviction.
        for room in rooms { queue.remove(subscriptions, from: room) }
        lastEviction += 1
        evictions.append(Eviction(number: lastEviction, subscriptions: subscriptions))
        return lastEviction
    }

    /// To be asked after `evict` and after `landed`. Each is named once.
    package mutating func takeCompleteEvictions() -> [UInt64] {
        let complete = evictions.filter { eviction in
            !underWay.values.contains { batch in
                batch.inputs.contains { eviction.subscriptions.contains($0.ticket.subscription) }
            }
        }.map(\.number)
        evictions.removeAll { complete.contains($0.number) }
        return complete
    }

    /// Gives up all that waits: its clients send it again.
    package mutating func giveUpAll() -> [Effect] { Self.returned(queue.giveUpWaiting()) }

    // MARK: - Batches

    /// The next batch of this way; empty when nothing waits.
    package mutating func begin(_ way: WriterQueue.Way, tag: () -> Tag) -> [WriterQueue.Part] {
        let parts =
            switch way {
            case .together: queue.nextBatch(tag: tag)
            case .apart: queue.nextApart(tag: tag).map { [$0] } ?? []
            }
        if !parts.isEmpty { underWay[way] = UnderWay(inputs: parts.flatMap(\.inputs)) }
        return parts
    }

    /// The store has answered.
    package mutating func conclude(
        _ way: WriterQueue.Way, _ parts: [WriterQueue.Part], _ outcomes: [AppendOutcome]
    ) -> [Effect] {
        var effects: [Effect] = []
        var applied: [(part: WriterQueue.Part, base: Seq?)] = []
        var written: [WriterQueue.Part] = []
        for (part, outcome) in zip(parts, outcomes) {
            let room = part.append.room
            switch outcome {
            case .applied(let base):
                applied.append((part, base))
                written.append(part)
            case .judged(let base, let verdicts):
                let (accepted, refused) = queue.judged(part, verdicts)
                written.append(part)
                if !accepted.inputs.isEmpty { applied.append((accepted, base)) }
                for (input, verdict) in refused {
                    effects.append(.answered([input], with: .failed(Self.error(for: verdict))))
                }
            case .appliedUnseen:
                applied.append((part, nil))
                written.append(part)
            case .moved(let claim, let members) where claim > part.append.claim:
                let inputs = queue.moved(part, claim: claim, members: members)
                removeEvicted(from: room)
                effects.append(.moved(members, of: room, since: part.append.claim, claim: claim, inputs: inputs))
            case .moved:
                // The room's claim went back: the database has lost its tail, and its members will be enrolled anew.
                effects += Self.returned(queue.giveUp(part))
            case .locked:
                queue.putBack(part, to: .apart)
                removeEvicted(from: room)
            case .slow:
                queue.putBack(part, to: .apart, isSlow: true)
                removeEvicted(from: room)
            case .tooMuch:
                queue.divide(part, on: way)
                removeEvicted(from: room)
            case .gone:
                queue.finished(part)
                let error = RequestError(.roomNotFound, "the room is gone")
                effects.append(.answered(part.inputs, with: .failed(error)))
            case .invalid:
                let inputs = queue.unfit(part)
                guard !inputs.isEmpty else {
                    removeEvicted(from: room)
                    break
                }
                let error = RequestError(.badRequest, "the database cannot store this")
                effects.append(.answered(inputs, with: .failed(error)))
            }
        }
        underWay[way]?.written = written
        guard !applied.isEmpty else { return effects }
        return effects + [.applied(applied), .answered(applied.flatMap(\.part.inputs), with: .applied)]
    }

    /// The store had no answer, and nothing was done.
    package mutating func giveUp(_ parts: [WriterQueue.Part]) -> [Effect] {
        parts.flatMap { Self.returned(queue.giveUp($0)) }
    }

    /// What came of the batch was told: its rooms go on.
    package mutating func landed(_ way: WriterQueue.Way) {
        for part in underWay[way]?.written ?? [] { queue.finished(part) }
        underWay[way] = nil
    }

    /// Whose clients are to be told `unavailable`, since it takes too long.
    package mutating func late(at now: NIODeadline) -> [Effect] {
        var effects = Self.returned(queue.expire(at: now))
        var open: [Input] = []
        for way in [WriterQueue.Way.together, .apart] {
            guard let batch = underWay[way] else { continue }
            let late = batch.inputs.filter { $0.deadline <= now && !batch.told.contains($0.ticket) }
            underWay[way]?.told.formUnion(late.map(\.ticket))
            open += late
        }
        if !open.isEmpty { effects.append(.answered(open, with: .leftOpen)) }
        return effects
    }

    /// Who was evicted while a batch was under way must not be in the next one.
    private mutating func removeEvicted(from room: RoomNumber) {
        for eviction in evictions { queue.remove(eviction.subscriptions, from: room) }
    }

    private static func error(for verdict: Verdict) -> RequestError {
        switch verdict {
        case .conflict(let values):
            var error = RequestError(.conflict, "\"if\" did not hold; look at \"values\" and \"versions\"")
            error.values = values
            return error
        case .refused(let reason): return RequestError(.forbidden, reason)
        case .tooLarge, .accepted, .rewritten:
            return RequestError(.tooLarge, "the values of the room together would be larger than they may")
        }
    }

    private static func returned(_ inputs: [Input]) -> [Effect] {
        let error = RequestError(.unavailable, "the database could not be reached in time; send it again")
        return inputs.isEmpty ? [] : [.answered(inputs, with: .failed(error))]
    }
}
