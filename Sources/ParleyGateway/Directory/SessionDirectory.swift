import NIOConcurrencyHelpers
package import NIOCore
package import ParleyCore
package import ParleyHub

/// Which sockets of this node have which sessions, so that a newer socket, here or on another node, can end an older
/// one, and so that a member whose socket was lost keeps its place for a while.
package final class SessionDirectory: Sendable {
    /// One socket, unique within the process.
    package struct SocketID: Hashable, Sendable {
        let value: UInt64
    }

    /// What a socket had in the hub.
    package typealias Places = [(subscription: SubscriptionID, room: RoomNumber)]

    /// Ends a socket because a newer one has come, and says what it had. It must be called, and what it says must be
    /// evicted from the writer.
    package typealias Displace = @Sendable () async -> Places

    private struct Entry {
        let session: SessionIdentity
        let socket: SocketID
        /// Of the socket within its session; nil until the store has said it.
        var number: Int64?
        /// The highest number of which other nodes have spoken while this one's was not known.
        var newest: Int64 = 0
        /// The socket is gone; its grace runs.
        var isLost = false
        /// The session is on another node; what the socket had is being evicted.
        var isOvertaken = false
        var displace: Displace
    }

    private struct State {
        var entries: [ClientID: Entry] = [:]
        var grace = Grace()
        /// Young sockets that were lost, of which the store is to know soon.
        var unnoted: [LostYoung] = []
        var lastSocket: UInt64 = 0

        mutating func yield(_ client: ClientID) {
            entries[client]?.isLost = true
            entries[client]?.isOvertaken = true
            grace.takenUp(client)
        }
    }

    /// A socket of a session that was taken up, gone so early that its client may not have read the token it gave.
    struct LostYoung: Equatable {
        let session: SessionKey
        let socket: Int64
        let at: NIODeadline
    }

    /// More than these are noted when their grace is over, as all others are.
    private static let unnotedMax = 16_384

    private let state = NIOLockedValueBox(State())

    package init() {}

    package func makeSocketID() -> SocketID {
        state.withLockedValue { state in
            state.lastSocket += 1
            return SocketID(value: state.lastSocket)
        }
    }

    /// The session is on this socket from now on. The answer ends the older socket that it was on here, if there is
    /// one, before the session goes on.
    package func open(
        _ session: SessionIdentity, on socket: SocketID, number: Int64?, displace: @escaping Displace
    ) -> Displace? {
        state.withLockedValue { state in
            state.grace.takenUp(session.clientID)
            let entry = Entry(session: session, socket: socket, number: number, displace: displace)
            return state.entries.updateValue(entry, forKey: session.clientID)?.displace
        }
    }

    /// The store has said which of its session's sockets this one is. False when a newer one is known already: then
    /// nothing is left of this one here.
    package func tookUp(_ client: ClientID, on socket: SocketID, number: Int64) -> Bool {
        state.withLockedValue { state in
            guard var entry = state.entries[client], entry.socket == socket else { return false }
            entry.number = number
            let hasIt = entry.newest <= number
            state.entries[client] = hasIt ? entry : nil
            return hasIt
        }
    }

    /// A socket whose session is on another node.
    package struct Overtaken: Sendable {
        package let client: ClientID
        package let socket: SocketID
        package let displace: Displace
    }

    /// Other nodes have taken sessions up. The answers end the sockets that had them here. Each must come back by `gone` when
    /// what it had is evicted: a session that comes back here before has to wait for that.
    package func overtaken(by takeUps: [SessionTakeUp]) -> [Overtaken] {
        state.withLockedValue { state in
            takeUps.compactMap { takeUp in
                guard let entry = state.entries[takeUp.clientID], !entry.isOvertaken else { return nil }
                guard let number = entry.number else {
                    // Which of the two is newer shows when the store has answered. For a lost one nobody waits for that,
                    // and the store will know it when the grace is over.
                    state.entries[takeUp.clientID]?.newest = max(entry.newest, takeUp.number)
                    return nil
                }
                guard number < takeUp.number else { return nil }
                state.yield(takeUp.clientID)
                return Overtaken(client: takeUp.clientID, socket: entry.socket, displace: entry.displace)
            }
        }
    }

    /// The socket has ended for its session is on another node. `gone` is to follow.
    package func overtaken(_ client: ClientID, on socket: SocketID) {
        state.withLockedValue { state in
            guard state.entries[client]?.socket == socket else { return }
            state.yield(client)
        }
    }

    /// Nothing of a socket that was overtaken is under way any more.
    package func gone(_ client: ClientID, on socket: SocketID) {
        state.withLockedValue { state in
            guard state.entries[client]?.socket == socket else { return }
            state.entries[client] = nil
        }
    }

    /// All whose numbers are known, also those that were lost.
    package var sockets: [SessionSocket] {
        state.withLockedValue { state in
            state.entries.values.compactMap { entry in
                guard !entry.isOvertaken else { return nil }
                return entry.number.map { SessionSocket(session: entry.session.key, number: $0) }
            }
        }
    }

    // MARK: - Lost sockets

    /// The socket is gone: unless the session is taken up before `dueAt`, its memberships end. Nothing happens when a
    /// newer socket has the session already.
    ///
    /// - Parameter isYoung: Its client may come back with the token that it had before: the store would take it for a late
    ///   one as long as it does not know that this socket is gone.
    package func lost(
        _ client: ClientID, on socket: SocketID, isYoung: Bool = false, had: @escaping Displace, at now: NIODeadline,
        dueAt: NIODeadline
    ) {
        state.withLockedValue { state in
            guard var entry = state.entries[client], entry.socket == socket, !entry.isLost else { return }
            entry.isLost = true
            entry.displace = had
            state.entries[client] = entry
            state.grace.lost(entry.session, socket: entry.number, at: now, dueAt: dueAt)
            if isYoung, let number = entry.number, number > 0, state.unnoted.count < Self.unnotedMax {
                state.unnoted.append(LostYoung(session: entry.session.key, socket: number, at: now))
            }
        }
    }

    /// Takes out at most `max`.
    func unnoted(max: Int) -> [LostYoung] {
        state.withLockedValue { state in
            defer { state.unnoted.removeFirst(min(max, state.unnoted.count)) }
            return Array(state.unnoted.prefix(max))
        }
    }

    /// Something that a lost socket had under way has ended, and may have made the session a member, or brought it here,
    /// after the grace was over. Nothing happens when the session has a socket here.
    package func endedLate(
        _ session: SessionIdentity, number: Int64?, at now: NIODeadline, dueAt: NIODeadline
    ) {
        state.withLockedValue { state in
            let entry = state.entries[session.clientID]
            guard entry?.isLost ?? true else { return }
            state.grace.lost(session, socket: number ?? entry?.number, at: now, dueAt: dueAt)
        }
    }

    /// Lost sockets whose time is over, at most `max`. Each must come back by `settled` or `failed`.
    func lapsing(at now: NIODeadline, max: Int) -> [Grace.Debt] {
        state.withLockedValue { $0.grace.due(at: now, max: max) }
    }

    /// What the lost sockets of these had.
    func remains(of debts: [Grace.Debt]) -> [Displace] {
        state.withLockedValue { state in
            debts.compactMap { debt in
                state.entries[debt.session.clientID].flatMap { $0.isLost ? $0.displace : nil }
            }
        }
    }

    /// False when the session has a socket again: nothing is to be left. A socket that comes later takes the session up
    /// with a higher number.
    func owes(_ debt: Grace.Debt) -> Bool { state.withLockedValue { $0.grace.owes(debt) } }

    func settled(_ debt: Grace.Debt) {
        state.withLockedValue { state in
            guard state.grace.settled(debt) else { return }
            state.entries[debt.session.clientID] = nil
        }
    }

    func failed(_ debt: Grace.Debt, at now: NIODeadline) {
        var generator = SystemRandomNumberGenerator()
        state.withLockedValue { $0.grace.failed(debt, at: now, using: &generator) }
    }
}
