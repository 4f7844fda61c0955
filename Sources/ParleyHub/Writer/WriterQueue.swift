import DequeModule
package import NIOCore
package import ParleyCore

/// One member's input on its way to the log.
package struct Input: Sendable {
    package var ticket: Ticket
    package var member: ClientID
    /// The member's own. The room may have told another node of the member since, and then this input must not be applied.
    package var claim: Int64
    /// A place that the room had reached when the input came.
    package var after: Seq
    /// The change as it will stand in the log: one JSON object.
    package var change: [UInt8]
    /// What it does to the shared values, for which it has to be judged; nil when it does nothing to them.
    package var set: ValueSet?
    /// The room has a rule, for which it has to be judged.
    package var isRuled: Bool
    package var deadline: NIODeadline

    package init(
        ticket: Ticket, member: ClientID, claim: Int64, after: Seq, change: [UInt8], set: ValueSet? = nil,
        isRuled: Bool = false, deadline: NIODeadline
    ) {
        self.ticket = ticket
        self.member = member
        self.claim = claim
        self.after = after
        self.change = change
        self.set = set
        self.isRuled = isRuled
        self.deadline = deadline
    }
}

/// Where the answer to an input goes.
package struct Ticket: Sendable, Hashable {
    /// The event loop of the socket.
    package var loop: Int
    package var subscription: SubscriptionID
    /// The `id` of the request; nil for one that wants no answer.
    package var request: Int64?

    package init(loop: Int, subscription: SubscriptionID, request: Int64?) {
        self.loop = loop
        self.subscription = subscription
        self.request = request
    }
}

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

    private struct Room {
        /// It stands in one of the two lines, or a part of it is under way and it goes back into line afterwards.
        var isInLine = false
        /// So many of the next inputs are written one by one: one of them cannot be stored.
        var suspects = 0
        private(set) var inputs: Deque<Input> = []
        /// Of the changes of `inputs`.
        private(set) var bytes = 0

        mutating func append(_ input: Input) {
            inputs.append(input)
            bytes += input.change.count
        }

        mutating func prepend(_ earlier: [Input]) {
            inputs.prepend(contentsOf: earlier)
            bytes += earlier.reduce(0) { $0 + $1.change.count }
        }

        mutating func removeFirst() { bytes -= inputs.removeFirst().change.count }

        mutating func remove(where isGone: (Input) -> Bool) -> [Input] {
            let gone = inputs.filter(isGone)
            guard !gone.isEmpty else { return [] }
            inputs.removeAll(where: isGone)
            bytes -= gone.reduce(0) { $0 + $1.change.count }
            return Array(gone)
        }

        mutating func raiseClaims(from lowest: Int64, to claim: Int64) {
            for index in inputs.indices where inputs[index].claim >= lowest {
                inputs[index].claim = max(inputs[index].claim, claim)
            }
        }
    }

    private var rooms: [RoomNumber: Room] = [:]
    /// Members of whom something was given up, until their loops know of it; how many answers each has under way. What
    /// they send meanwhile would overtake what they are told to send again.
    private var barred: [SubscriptionID: Int] = [:]
    /// Refused ids of members that the log does not know of yet: they go with the next part that tells of a higher one of
    /// the member, for that one raises the highest id that counts as settled.
    private var refused: [SubscriptionID: RefusedIDs] = [:]
    /// Of those in `refused`: they have ended and send nothing more than what they have waiting.
    private var ended: Set<SubscriptionID> = []
    private var waiting: Deque<RoomNumber> = []
    private var apart: Deque<RoomNumber> = []
    private var bytes = 0

    /// A part of a batch, with the inputs that it is made of.
    package struct Part: Sendable {
        package var append: Append
        package var inputs: [Input]
        fileprivate var refused: [SubscriptionID: RefusedIDs] = [:]
    }

    package init() {}

    package func has(_ way: Way) -> Bool {
        switch way {
        case .together: !waiting.isEmpty
        case .apart: !apart.isEmpty
        }
    }

    /// Bytes of changes that wait or are under way.
    package var waitingBytes: Int { bytes }

    /// False when the queue or the room's part of it is full, or the member has to send something again first; the input was not taken.
    package mutating func enqueue(_ input: Input, room: RoomNumber) -> Bool {
        guard bytes + input.change.count <= Self.bytesMax,
            (rooms[room]?.bytes ?? 0) + input.change.count <= Self.roomBytesMax,
            barred[input.ticket.subscription] == nil
        else { return false }
        bytes += input.change.count
        rooms[room, default: Room()].append(input)
        if rooms[room]?.isInLine == false {
            rooms[room]?.isInLine = true
            waiting.append(room)
        }
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
        while let room = apart.popFirst() {
            guard let part = takePart(of: room, tag: tag()) else { continue }
            return part
        }
        return nil
    }

    /// The part was applied, refused or given up: the room goes on with what came since.
    package mutating func finished(_ part: Part) {
        bytes -= part.inputs.reduce(0) { $0 + $1.change.count }
        requeue(part.append.room, to: .together)
    }

    /// The part was not applied and is to be tried again, before anything that came since.
    package mutating func putBack(_ part: Part, to way: Way) {
        let room = part.append.room
        owe(part.refused)
        rooms[room]?.prepend(part.inputs)
        requeue(room, to: way)
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
        bar(Set(gone.map(\.ticket.subscription)))
        return gone
    }

    /// The part was judged and is never to be applied: its ids count as refused, also for what its members have waiting.
    package mutating func refuse(_ part: Part) {
        owe(part.refused)
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
        if accepted.inputs.isEmpty { owe(part.refused) }
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
        rooms[part.append.room]?.suspects = part.inputs.count
        return []
    }

    /// An id was refused before it came here.
    package mutating func refuse(_ id: Int64, of member: ClientID, on subscription: SubscriptionID) {
        owe([subscription: RefusedIDs(clientID: member, ids: [id])])
    }

    /// The subscription has ended. What it has waiting is written still, and with it the ids that were refused before.
    package mutating func forget(_ subscription: SubscriptionID) {
        guard refused[subscription] != nil else { return }
        ended.insert(subscription)
        let hasMore = rooms.values.contains { $0.inputs.contains { $0.ticket.subscription == subscription } }
        if !hasMore { forgetEnded([subscription]) }
    }

    private mutating func forgetEnded(_ subscriptions: some Sequence<SubscriptionID>) {
        guard !ended.isEmpty else { return }
        for subscription in subscriptions where ended.remove(subscription) != nil { refused[subscription] = nil }
    }

    /// The part was not applied and is given up. Returns its inputs and what its members have waiting behind them, which
    /// must not be applied before them; the members are barred until `readmit`.
    package mutating func giveUp(_ part: Part) -> [Input] {
        let members = Set(part.inputs.map(\.ticket.subscription))
        let followers = remove(members, from: part.append.room)
        owe(part.refused)
        finished(part)
        bar(members)
        return part.inputs + followers
    }

    /// Takes out all that waits; its members are barred until `readmit`.
    package mutating func giveUpWaiting() -> [Input] {
        var given: [Input] = []
        for room in Array(rooms.keys) {
            let members = Set(rooms[room]?.inputs.map(\.ticket.subscription) ?? [])
            given += remove(members, from: room)
            bar(members)
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
            bar(Set(due))
            if let state = rooms[room], state.inputs.isEmpty, !state.isInLine { rooms[room] = nil }
        }
        return expired
    }

    /// Takes out what these subscriptions have waiting in a room.
    @discardableResult
    package mutating func remove(_ subscriptions: Set<SubscriptionID>, from room: RoomNumber) -> [Input] {
        let removed = rooms[room]?.remove { subscriptions.contains($0.ticket.subscription) } ?? []
        guard !removed.isEmpty else { return [] }
        forgetEnded(subscriptions)
        bytes -= removed.reduce(0) { $0 + $1.change.count }
        return removed
    }

    /// The loops of these members know what was given up: from here on their ledgers see to the order.
    package mutating func readmit(_ subscriptions: Set<SubscriptionID>) {
        for subscription in subscriptions {
            guard let answers = barred[subscription] else { continue }
            barred[subscription] = answers > 1 ? answers - 1 : nil
        }
    }

    private mutating func bar(_ subscriptions: Set<SubscriptionID>) {
        for subscription in subscriptions { barred[subscription, default: 0] += 1 }
    }

    private mutating func takePart(of room: RoomNumber, tag: Tag) -> Part? {
        guard var state = rooms[room], !state.inputs.isEmpty else {
            rooms[room] = nil
            return nil
        }
        var body: [UInt8] = []
        var inputs: [Input] = []
        body.reserveCapacity(min(state.bytes + state.inputs.count, Limits.chunkBytesMax))
        while let next = state.inputs.first,
            inputs.isEmpty
                || state.suspects == 0 && body.count + 1 + next.change.count <= Limits.chunkBytesMax
        {
            if !inputs.isEmpty { body.append(UInt8(ascii: ",")) }
            body.append(contentsOf: next.change)
            inputs.append(next)
            state.removeFirst()
        }
        state.suspects = max(0, state.suspects - 1)
        rooms[room] = state
        let owed = takeOwed(for: inputs)
        if !ended.isEmpty {
            let waiting = Set(state.inputs.map(\.ticket.subscription))
            forgetEnded(Set(inputs.map(\.ticket.subscription)).subtracting(waiting))
        }
        return Part(
            append: Append(
                room: room, claim: inputs.reduce(.max) { min($0, $1.claim) },
                after: inputs.reduce(0) { max($0, $1.after) },
                count: inputs.count, tag: tag, body: body, judged: Self.judged(inputs),
                isRuled: inputs.contains(where: \.isRuled), refused: Array(owed.values)),
            inputs: inputs, refused: owed)
    }

    /// A room with an input that is to be judged goes that way as a whole, so that nothing overtakes.
    private static func judged(_ inputs: [Input]) -> [JudgedInput]? {
        guard inputs.contains(where: { $0.set != nil || $0.isRuled }) else { return nil }
        return inputs.map { JudgedInput(change: $0.change, set: $0.set) }
    }

    /// Of each member only what lies below the highest id of it in the part: to whoever reads the log, all below the
    /// highest id that it tells of is settled, and below a refused one others may still be waiting to be sent again.
    private mutating func takeOwed(for inputs: [Input]) -> [SubscriptionID: RefusedIDs] {
        guard !refused.isEmpty else { return [:] }
        var highest: [SubscriptionID: Int64] = [:]
        for ticket in inputs.map(\.ticket) {
            guard let id = ticket.request, refused[ticket.subscription] != nil else { continue }
            highest[ticket.subscription] = max(highest[ticket.subscription] ?? 0, id)
        }
        var owed: [SubscriptionID: RefusedIDs] = [:]
        for (subscription, highest) in highest {
            guard let all = refused.removeValue(forKey: subscription) else { continue }
            let below = all.ids.prefix { $0 < highest }
            let above = all.ids.dropFirst(below.count)
            if !below.isEmpty { owed[subscription] = RefusedIDs(clientID: all.clientID, ids: Array(below)) }
            if !above.isEmpty { refused[subscription] = RefusedIDs(clientID: all.clientID, ids: Array(above)) }
        }
        return owed
    }

    private mutating func owe(_ more: [SubscriptionID: RefusedIDs]) {
        for (subscription, more) in more {
            let ids = Set(refused[subscription]?.ids ?? []).union(more.ids).sorted().suffix(Limits.refusedMax)
            refused[subscription] = RefusedIDs(clientID: more.clientID, ids: Array(ids))
        }
    }

    private mutating func requeue(_ room: RoomNumber, to way: Way) {
        guard let state = rooms[room], !state.inputs.isEmpty else {
            rooms[room] = nil
            return
        }
        switch way {
        case .together: waiting.append(room)
        case .apart: apart.append(room)
        }
    }
}
