package import NIOCore
package import ParleyCore

package struct SubscriptionID: Hashable, Sendable {
    package let value: UInt64
    package init(_ value: UInt64) { self.value = value }
}

/// The socket of a subscription, as the hub sees it. Lives on one event loop.
package protocol FrameSink: AnyObject {
    /// One frame of JSON text for this client alone: a reply, an acknowledgement, an error. Never dropped.
    func send(_ frame: ByteBuffer)
    /// Bytes that many sockets get, framed for the transport already.
    func send(shared: ByteBuffer)
    /// More waits for this client than it should: updates are held back until it has caught up.
    var isCongested: Bool { get }
    /// Ends the socket: the client broke a limit that no well-behaved client comes near.
    func endForFlood()
    /// Ends the socket: its session goes on elsewhere. Nothing that comes from it afterwards may be looked at.
    func endForTakeover()
    /// Tells the client, and not the others, that it is in the room of this subscription no more.
    func endMembership(of subscription: Subscription, by ended: EndedMembership)
    /// Ends the socket: its client finds out by coming back what there is.
    func endForRestart()
}

/// One member's place in one room, on one socket. Lives on the socket's event loop.
package final class Subscription {
    /// How the room's updates reach the client.
    package enum Flow: Equatable {
        /// A join is under way; its reply says where the client stands. `after`: what it had before, if anything.
        case suspended(after: Seq?)
        /// Gets what the room broadcasts. `after`: what the client has.
        case live(after: Seq)
        /// Is being caught up from `after`, page by page, as fast as the socket takes it. `fetch`: the page that is
        /// under way; an answer to any other has been overtaken by a join.
        case behind(after: Seq, fetch: Fetch?)
    }

    package let id: SubscriptionID
    package let clientID: ClientID
    package let roomID: RoomID
    package unowned let sink: any FrameSink

    package internal(set) var room: RoomNumber
    package internal(set) var claim: Int64
    /// The room has a rule: what the member sends is to be judged.
    package internal(set) var isRuled: Bool
    package internal(set) var ledger: Ledger
    package internal(set) var flow: Flow = .suspended(after: nil)
    package var wantsPresence = true
    /// The client knows the roster up to here.
    package internal(set) var rosterSeq: Int64
    var isLeaving = false
    /// The membership was ended from outside: what waits is given up, but the session has gone nowhere.
    var isRemoved = false
    /// Presence frames did not reach the client.
    var missedPresence = false
    var lastFetch: UInt64 = 0
    /// Between pages that cannot be read.
    var backoff: Backoff
    /// Called once, as soon as nothing is in flight.
    private var whenIdle: (() -> Void)?

    init(
        id: SubscriptionID, clientID: ClientID, roomID: RoomID, enrolled: Enrolled, inFlightMax: Int,
        backoff: Backoff, sink: any FrameSink
    ) {
        self.id = id
        self.clientID = clientID
        self.roomID = roomID
        self.backoff = backoff
        self.sink = sink
        self.room = enrolled.room
        self.claim = enrolled.claim
        self.isRuled = enrolled.isRuled
        self.rosterSeq = enrolled.rosterSeq
        self.ledger = Ledger(marks: enrolled.marks, inFlightMax: inFlightMax)
    }

    /// What may be told to the client as final.
    package var marks: Marks { ledger.marks }

    /// The client sent a request with `id` that is to be applied at most once.
    package func received(_ id: Int64) -> Ledger.Verdict { ledger.received(id) }

    /// The writer had no room for the request: the client is told to send it again.
    package func notTaken(_ id: Int64) { _ = ledger.returned(id) }

    /// A join of this room has succeeded on a socket that was in the room already.
    package func rejoined(_ enrolled: Enrolled) {
        claim = max(claim, enrolled.claim)
        isRemoved = false
        ledger.rejoined()
    }

    /// Whether this is the membership that was ended, and not one that began later.
    package func isEnded(by ended: EndedMembership) -> Bool {
        claim < ended.claim && (ended.clientID == nil || ended.clientID == clientID)
    }

    /// A place that the room has reached for certain.
    package var seen: Seq {
        switch flow {
        case .suspended(let after): after ?? 0
        case .live(let after), .behind(let after, _): after
        }
    }

    /// How long to wait before a page is asked for that could not be read.
    func nextAttempt() -> TimeAmount {
        var generator = SystemRandomNumberGenerator()
        return TimeAmount(backoff.next(using: &generator))
    }

    /// Calls `action` when nothing of this subscription is in flight, which may be at once.
    package func whenIdle(_ action: @escaping () -> Void) {
        whenIdle = action
        checkIdle()
    }

    var isSuspended: Bool {
        switch flow {
        case .suspended: true
        case .live, .behind: false
        }
    }

    /// Nobody listens any more: nothing may look at the sink from here on.
    func end() {
        flow = .suspended(after: nil)
        whenIdle = nil
    }

    func checkIdle() {
        guard ledger.isIdle, let action = whenIdle else { return }
        whenIdle = nil
        action()
    }
}
