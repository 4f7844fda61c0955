import DequeModule
package import NIOCore
package import ParleyCore

/// Inputs of all rooms that wait for the next batch: pure, no clock, no lock.
///
/// A room's inputs are written in the order in which they came, so a room is in one place at a time: waiting, in the
/// batch that is under way, or set aside because a foreign transaction holds it.
package struct WriterQueue {
    /// Bytes of changes that wait or are under way. More is answered with `unavailable`.
    package static let bytesMax = 64 * 1_048_576
    /// The same for one room: should it be locked, or be said too much in, the others have the rest.
    package static let roomBytesMax = 8 * 1_048_576
    /// One batch: large enough that its fixed cost vanishes, small enough to be durable within milliseconds.
    package static let batchBytesMax = 4 * 1_048_576
    package static let batchRoomsMax = 2_048

    package enum Way: Equatable { case together, apart }

    /// Each stands in one of the two lines, or has a part under way and goes back into line afterwards, even if all that
    /// it had waiting was taken out meanwhile.
    private var rooms: [RoomNumber: RoomInputs] = [:]
    private var waiting: Deque<RoomNumber> = []
    private var apart: Deque<RoomNumber> = []
    /// Of those that go apart, the ones that take long themselves. They and the others have turns, one each.
    private var slow: Deque<RoomNumber> = []
    private var wasSlowLast = false
    private var barred = BarredMembers()
    private var unlogged = UnloggedRefusals()
    private var bytes = 0

    /// A part of a batch, with the inputs that it is made of.
    package struct Part: Sendable {
        package var append: Append
        package var inputs: [Input]
        /// Those of `append`, to be owed again when it is not applied.
        fileprivate var refused: [SubscriptionID: RefusedIDs] = [:]
    }

    package init() {}

    package func has(_ way: Way) -> Bool {
        switch way {
        case .together: !waiting.isEmpty
        case .apart: !apart.isEmpty || !slow.isEmpty
        }
    }

    /// Bytes of changes that wait or are under way.
    package var waitingBytes: Int { bytes }

    /// False when the queue or the room's part of it is full, or the member has to send something again first; the input
    /// was not taken.
    package mutating func enqueue(_ input: Input, room: RoomNumber) -> Bool {
        guard bytes + input.change.count <= Self.bytesMax,
            (rooms[room]?.bytes ?? 0) + input.change.count <= Self.roomBytesMax,
            !barred.contains(input.ticket.subscription)
        else { return false }
        bytes += input.change.count
        if rooms[room] == nil { waiting.append(room) }
        rooms[room, default: RoomInputs()].append(input)
        return true
    }

    /// The next batch, at most one part for each room; empty when nothing waits.
    package mutating func nextBatch(tag: () -> Tag) -> [Part] {
        var parts: [Part] = []
        var batchBytes = 0
        while parts.count < Self.batchRoomsMax, batchBytes < Self.batchBytesMax, let room = waiting.popFirst() {
            guard let part = takePart(of: room, tag: tag()) else { continue }
            batchBytes += part.append.body.count
            parts.append(part)
        }
        return parts
    }

    /// The next room that was set aside.
    package mutating func nextApart(tag: () -> Tag) -> Part? {
        while let room = nextRoomApart() {
            guard let part = takePart(of: room, tag: tag()) else { continue }
            return part
        }
        return nil
    }

    private mutating func nextRoomApart() -> RoomNumber? {
        wasSlowLast = apart.isEmpty || !wasSlowLast && !slow.isEmpty
        return wasSlowLast ? slow.popFirst() : apart.popFirst()
    }

    /// The part was applied, refused or given up: the room goes on with what came since.
    package mutating func finished(_ part: Part) {
        bytes -= part.inputs.reduce(0) { $0 + $1.change.count }
        requeue(part.append.room, to: .together)
    }

    /// The part was not applied and is to be tried again, before anything that came since.
    package mutating func putBack(_ part: Part, to way: Way, isSlow: Bool = false) {
        let room = part.append.room
        unlogged.add(part.refused)
        rooms[room]?.prepend(part.inputs)
        requeue(room, to: way, isSlow: isSlow)
    }

    /// The part was not applied, for these members have moved to other nodes. Returns what they have sent, in the part and
    /// behind it, which is never to be applied; they are barred until `readmit`. The rest is tried again: it was not
    /// theirs alone, and those whose claim was the part's or higher were still here at `claim`.
    package mutating func moved(_ part: Part, claim: Int64, members: Set<ClientID>) -> [Input] {
        let room = part.append.room
        putBack(part, to: .together)
        let gone = rooms[room]?.remove { members.contains($0.member) && $0.claim < claim } ?? []
        // Of members with a lower claim than the part's nobody has asked.
        rooms[room]?.raiseClaims(from: part.append.claim, to: claim)
        bytes -= gone.reduce(0) { $0 + $1.change.count }
        barred.add(Set(gone.map(\.ticket.subscription)))
        return gone
    }

    /// The part was judged and is never to be applied: its ids count as refused, also for what its members have waiting.
    package mutating func refuse(_ part: Part) {
        unlogged.add(part.refused)
        for input in part.inputs {
            guard let id = input.ticket.request else { continue }
            refuse(id, of: input.member, on: input.ticket.subscription)
        }
        finished(part)
    }

    /// The part was judged; `finished` is to follow. Returns what was accepted of it, as it stands in the log, and what was
    /// refused, with why. The chunk tells of the refused ids below an accepted one of the same member.
    package mutating func judged(_ part: Part, _ verdicts: [Verdict]) -> (accepted: Part, refused: [(Input, Verdict)]) {
        var accepted = part
        accepted.inputs = zip(part.inputs, verdicts).compactMap { input, verdict in
            verdict.written(input.change).map { change in
                var written = input
                written.change = change
                return written
            }
        }
        var highest: [SubscriptionID: Int64] = [:]
        for ticket in accepted.inputs.map(\.ticket) {
            highest[ticket.subscription] = max(highest[ticket.subscription] ?? 0, ticket.request ?? 0)
        }
        let refused = zip(part.inputs, verdicts).filter { !$1.isAccepted }.map { ($0, $1) }
        for (input, _) in refused {
            guard let id = input.ticket.request, id > highest[input.ticket.subscription] ?? 0 else { continue }
            refuse(id, of: input.member, on: input.ticket.subscription)
        }
        // With nothing accepted there is no chunk that could have told of them.
        if accepted.inputs.isEmpty { unlogged.add(part.refused) }
        accepted.append.count = accepted.inputs.count
        accepted.append.body = Array(accepted.inputs.map(\.change).joined(separator: [UInt8(ascii: ",")]))
        return (accepted, refused)
    }

    /// Something in the part cannot be stored, so none of it was applied. Returns what is never to be applied: its only
    /// input. Of several it is not known which one it is; they are tried again one by one, so that nobody pays for
    /// another's.
    package mutating func unfit(_ part: Part) -> [Input] {
        guard part.inputs.count > 1 else {
            refuse(part)
            return part.inputs
        }
        putBack(part, to: .together)
        rooms[part.append.room]?.suspect(part.inputs.count, together: 1)
        return []
    }

    /// The part was not applied, for it is too much at once: it is tried again in halves.
    package mutating func divide(_ part: Part, on way: Way) {
        putBack(part, to: way, isSlow: way == .apart)
        rooms[part.append.room]?.suspect(part.inputs.count, together: part.inputs.count / 2)
    }

    /// An id was refused before it came here.
    package mutating func refuse(_ id: Int64, of member: ClientID, on subscription: SubscriptionID) {
        unlogged.add([subscription: RefusedIDs(clientID: member, ids: [id])])
    }

    /// The subscription has ended. What it has waiting is written still, and with it the ids that were refused before.
    package mutating func forget(_ subscription: SubscriptionID) {
        guard unlogged.has(subscription) else { return }
        let hasMore = rooms.values.contains { $0.inputs.contains { $0.ticket.subscription == subscription } }
        unlogged.end(subscription, hasMore: hasMore)
    }

    /// The part was not applied and is given up. Returns its inputs and what its members have waiting behind them, which
    /// must not be applied before them; the members are barred until `readmit`.
    package mutating func giveUp(_ part: Part) -> [Input] {
        let members = Set(part.inputs.map(\.ticket.subscription))
        let followers = remove(members, from: part.append.room)
        unlogged.add(part.refused)
        finished(part)
        barred.add(members)
        return part.inputs + followers
    }

    /// Takes out all that waits; its members are barred until `readmit`.
    package mutating func giveUpWaiting() -> [Input] {
        var given: [Input] = []
        for room in Array(rooms.keys) {
            let members = Set(rooms[room]?.inputs.map(\.ticket.subscription) ?? [])
            given += remove(members, from: room)
            barred.add(members)
        }
        return given
    }

    /// Takes out what is due, was not given to the database and can be answered with certainty, and what its members have
    /// waiting behind it; the members are barred until `readmit`.
    package mutating func expire(at now: NIODeadline) -> [Input] {
        var expired: [Input] = []
        for room in Array(rooms.keys) {
            let due = rooms[room]?.inputs.prefix { $0.deadline <= now }.map(\.ticket.subscription) ?? []
            guard !due.isEmpty else { continue }
            expired += remove(Set(due), from: room)
            barred.add(Set(due))
        }
        return expired
    }

    /// Takes out what these subscriptions have waiting in a room.
    @discardableResult
    package mutating func remove(_ subscriptions: Set<SubscriptionID>, from room: RoomNumber) -> [Input] {
        let removed = rooms[room]?.remove { subscriptions.contains($0.ticket.subscription) } ?? []
        guard !removed.isEmpty else { return [] }
        unlogged.hasNothingWaiting(subscriptions)
        bytes -= removed.reduce(0) { $0 + $1.change.count }
        return removed
    }

    /// The loops of these members know what was given up: from here on their ledgers see to the order.
    package mutating func readmit(_ subscriptions: Set<SubscriptionID>) { barred.readmit(subscriptions) }

    private mutating func takePart(of room: RoomNumber, tag: Tag) -> Part? {
        guard var state = rooms[room], !state.inputs.isEmpty else {
            rooms[room] = nil
            return nil
        }
        let (inputs, body) = state.takeChunk()
        rooms[room] = state
        let refused = unlogged.take(for: inputs.map(\.ticket))
        if unlogged.hasEnded {
            let waiting = Set(state.inputs.map(\.ticket.subscription))
            unlogged.hasNothingWaiting(Set(inputs.map(\.ticket.subscription)).subtracting(waiting))
        }
        return Part(
            append: Append(
                room: room, claim: inputs.reduce(.max) { min($0, $1.claim) },
                after: inputs.reduce(0) { max($0, $1.after) },
                count: inputs.count, tag: tag, body: body, judged: Self.judged(inputs),
                isRuled: inputs.contains(where: \.isRuled), refused: Array(refused.values)),
            inputs: inputs, refused: refused)
    }

    /// A room with an input that is to be judged goes that way as a whole, so that nothing overtakes.
    private static func judged(_ inputs: [Input]) -> [JudgedInput]? {
        guard inputs.contains(where: { $0.set != nil || $0.isRuled }) else { return nil }
        return inputs.map { JudgedInput(change: $0.change, set: $0.set) }
    }

    private mutating func requeue(_ room: RoomNumber, to way: Way, isSlow: Bool = false) {
        guard let state = rooms[room], !state.inputs.isEmpty else {
            rooms[room] = nil
            return
        }
        switch way {
        case .together: waiting.append(room)
        case .apart where isSlow: slow.append(room)
        case .apart: apart.append(room)
        }
    }
}
