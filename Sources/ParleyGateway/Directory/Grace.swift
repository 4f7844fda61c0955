import NIOCore
import ParleyCore

/// The sessions that lost their socket here and have not come back, and when their memberships are to end. Pure: it is
/// told the time, and by what chance to wait.
///
/// What exactly a session has to leave is asked of the store when the time has come: only that is sure to hold a join
/// that was under way when the socket went, and the rooms that the client had not joined anew on it.
struct Grace {
    /// One lost socket. A later one of the same session is another debt.
    struct Debt: Hashable, Sendable {
        let session: SessionIdentity
        /// The number of the socket; nil when the store had not said it.
        let socket: Int64?
        let lostAt: NIODeadline
        fileprivate let serial: UInt64
    }

    private struct Standing {
        let debt: Debt
        var dueAt: NIODeadline
        var backoff = Backoff(first: pauseFirst, max: pauseMax)
        /// Somebody is at it.
        var isUnderWay = false
    }

    /// Pauses after a failure.
    static let pauseFirst = Duration.milliseconds(500)
    static let pauseMax = Duration.seconds(30)

    private var standings: [ClientID: Standing] = [:]
    /// Nothing is due before.
    private var earliest = NIODeadline.distantFuture
    private var lastSerial: UInt64 = 0

    var count: Int { standings.count }

    /// The session's socket is gone, or what it had under way may have made it a member since. An older socket may end
    /// behind a newer one: it is the newest that counts, or any, as long as one's number is not known.
    mutating func lost(_ session: SessionIdentity, socket: Int64?, at now: NIODeadline, dueAt: NIODeadline) {
        lastSerial += 1
        let numbers = standings[session.clientID].map { [$0.debt.socket, socket] } ?? [socket]
        let socket = numbers.contains(nil) ? nil : numbers.compactMap(\.self).max()
        let debt = Debt(session: session, socket: socket, lostAt: now, serial: lastSerial)
        standings[session.clientID] = Standing(debt: debt, dueAt: dueAt)
        earliest = min(earliest, dueAt)
    }

    /// The session is on a newer socket, here or elsewhere.
    mutating func takenUp(_ client: ClientID) { standings[client] = nil }

    /// What is due now, at most `max`; each must come back by `settled` or `failed`.
    mutating func due(at now: NIODeadline, max: Int) -> [Debt] {
        guard earliest <= now else { return [] }
        var debts: [Debt] = []
        earliest = .distantFuture
        for standing in standings.values where !standing.isUnderWay {
            if standing.dueAt <= now, debts.count < max {
                debts.append(standing.debt)
            } else {
                earliest = min(earliest, standing.dueAt)
            }
        }
        for debt in debts { standings[debt.session.clientID]?.isUnderWay = true }
        return debts
    }

    /// False when the session was taken up, or lost anew, since the debt was given out.
    func owes(_ debt: Debt) -> Bool { standings[debt.session.clientID]?.debt == debt }

    /// All is left. True when this was the newest debt of the session: then nothing is to be remembered of it.
    mutating func settled(_ debt: Debt) -> Bool {
        guard owes(debt) else { return false }
        standings[debt.session.clientID] = nil
        return true
    }

    /// Something could not be left.
    mutating func failed(_ debt: Debt, at now: NIODeadline, using generator: inout some RandomNumberGenerator) {
        guard owes(debt), var standing = standings[debt.session.clientID] else { return }
        standing.isUnderWay = false
        standing.dueAt = now + TimeAmount(standing.backoff.next(using: &generator))
        standings[debt.session.clientID] = standing
        earliest = min(earliest, standing.dueAt)
    }
}
