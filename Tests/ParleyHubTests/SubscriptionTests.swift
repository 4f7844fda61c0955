import NIOCore
import ParleyCore
import Testing

@testable import ParleyHub

@Suite("Subscription")
struct SubscriptionTests {
    private final class Sink: FrameSink {
        var told: [String] = []
        func send(_ frame: ByteBuffer) { told.append(String(buffer: frame)) }
        func send(shared: ByteBuffer) { told.append(String(buffer: shared)) }
        var isCongested: Bool { false }
        func endForFlood() {}
        func endForTakeover() {}
        func endMembership(of subscription: Subscription, by ended: EndedMembership) {}
        func endForRestart() {}
    }

    private func presence(from: Int64, to: Int64, _ text: String) -> Delivery.Presence {
        Delivery.Presence(room: RoomNumber(1), from: from, to: to, framed: [ByteBuffer(string: text)])
    }

    private func presence(to: Int64, _ text: String) -> Delivery.PagePresence {
        Delivery.PagePresence(to: to, frames: [ByteBuffer(string: text)])
    }

    private func subscribe(_ sink: Sink) throws -> Subscription {
        Subscription(
            id: SubscriptionID(1), clientID: try #require(ClientID("ann")), roomID: try #require(RoomID("tea")),
            enrolled: Enrolled(room: RoomNumber(1), claim: 1, change: nil, rosterSeq: 2, count: 2, marks: Marks()),
            inFlightMax: 8, backoff: Backoff(first: .milliseconds(1), max: .milliseconds(1)), sink: sink)
    }

    @Test("who is leaving gets the updates of a page and nothing of its presence; who stays after all asks again")
    func leavingBesidePage() throws {
        let sink = Sink()
        let subscription = try subscribe(sink)
        subscription.resume(after: 0, rosterSeq: 2)
        let fetch = try #require(subscription.startFetch(loop: 0))
        subscription.isLeaving = true
        #expect(
            subscription.received(
                Delivery.Page(
                    fetch: fetch, to: 1, isAll: true, presence: presence(to: 3, "ann left"),
                    frames: [ByteBuffer(string: "update")])))
        #expect(sink.told == ["update"])
        subscription.isLeaving = false
        subscription.missedPresence = true
        #expect(subscription.startFetch(loop: 0)?.rosterSeq == 2)
    }

    @Test("who comes and goes while a page is on its way is told by that page, and not twice")
    func presenceBesidePage() throws {
        let sink = Sink()
        let subscription = try subscribe(sink)
        subscription.resume(after: 0, rosterSeq: 2)
        let fetch = try #require(subscription.startFetch(loop: 0))
        #expect(!subscription.heard(presence(from: 2, to: 3, "by broadcast")), "the page comes anyway")
        // It was made after that was broadcast, for both come by one mailbox.
        let page = Delivery.Page(
            fetch: fetch, to: 0, isAll: true, presence: presence(to: 3, "by page"))
        #expect(subscription.received(page))
        #expect(sink.told == ["by page"])
        #expect(subscription.startFetch(loop: 0) == nil, "nothing is missing")
        #expect(!subscription.heard(presence(from: 3, to: 4, "next")))
        #expect(sink.told == ["by page", "next"])
    }
}
