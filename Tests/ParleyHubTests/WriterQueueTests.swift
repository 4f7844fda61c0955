import NIOCore
import ParleyCore
import ParleyHub
import Testing

@Suite("Writer queue")
struct WriterQueueTests {
    private let room = RoomNumber(1)
    private let other = RoomNumber(2)

    private func input(
        _ change: String, id: Int64? = 1, of subscription: UInt64 = 1, claim: Int64 = 0, after: Seq = 0,
        isRuled: Bool = false, due: NIODeadline = .distantFuture
    ) -> Input {
        Input(
            ticket: Ticket(loop: 0, subscription: SubscriptionID(subscription), request: id),
            member: member(subscription), claim: claim, after: after, change: Array(change.utf8), isRuled: isRuled,
            deadline: due)
    }

    private func member(_ subscription: UInt64) -> ClientID { ClientID("member\(subscription)")! }

    @Test("all inputs of a room become one part, in their order")
    func onePart() {
        var queue = WriterQueue()
        for change in ["{1}", "{2}"] { #expect(queue.enqueue(input(change), room: room) == true) }
        #expect(queue.enqueue(input("{3}", claim: 5), room: other) == true)
        let parts = queue.nextBatch { 9 }
        #expect(parts.map(\.append.room) == [room, other])
        #expect(parts.map { text($0.append.body) } == ["{1},{2}", "{3}"])
        #expect(parts.map(\.append.count) == [2, 1])
        #expect(parts.map(\.append.claim) == [0, 5])
        #expect(queue.nextBatch { 9 }.isEmpty)
    }

    @Test("what comes while a room is under way waits for it")
    func underWay() {
        var queue = WriterQueue()
        _ = queue.enqueue(input("{1}"), room: room)
        let first = queue.nextBatch { 0 }
        _ = queue.enqueue(input("{2}"), room: room)
        #expect(queue.nextBatch { 0 }.isEmpty)
        queue.finished(first[0])
        #expect(queue.nextBatch { 0 }.map { text($0.append.body) } == ["{2}"])
    }

    @Test("what was not applied goes before what came since")
    func putBack() {
        var queue = WriterQueue()
        _ = queue.enqueue(input("{1}"), room: room)
        let first = queue.nextBatch { 0 }
        _ = queue.enqueue(input("{2}"), room: room)
        queue.putBack(first[0], to: .together)
        #expect(queue.nextBatch { 0 }.map { text($0.append.body) } == ["{1},{2}"])
    }

    @Test("a part has the lowest claim of its members, and comes behind the highest place that one of them knows")
    func lowestClaim() {
        var queue = WriterQueue()
        for input in [
            input("{1}", claim: 7, after: 3), input("{2}", of: 2, claim: 4, after: 9), input("{3}", claim: 8),
        ] {
            _ = queue.enqueue(input, room: room)
        }
        let parts = queue.nextBatch { 0 }
        #expect(parts.map(\.append.claim) == [4])
        #expect(parts.map(\.append.after) == [9])
    }

    @Test("of members that moved nothing is written any more, neither of the part nor behind it; the others go on")
    func moved() {
        var queue = WriterQueue()
        _ = queue.enqueue(input("{1}", id: 1), room: room)
        _ = queue.enqueue(input("{2}", id: 1, of: 2), room: room)
        let part = queue.nextBatch { 0 }[0]
        _ = queue.enqueue(input("{3}", id: 2), room: room)
        _ = queue.enqueue(input("{4}", id: 2, of: 2), room: room)
        let gone = queue.moved(part, claim: 3, members: [member(1)])
        #expect(gone.map(\.ticket.request) == [1, 2])
        #expect(gone.allSatisfy { $0.member == member(1) })
        #expect(queue.enqueue(input("{5}", id: 3), room: room) == false, "its socket does not know of it yet")
        let again = queue.nextBatch { 0 }
        #expect(again.map { text($0.append.body) } == ["{2},{4}"])
        #expect(again.map(\.append.claim) == [3])
        queue.finished(again[0])
        #expect(queue.waitingBytes == 0)
        queue.readmit([SubscriptionID(1)])
        #expect(queue.enqueue(input("{6}", id: 3, claim: 4), room: room) == true)
    }

    @Test("a member that moved and came back under a newer claim is not meant by the older one")
    func movedAndBack() {
        var queue = WriterQueue()
        _ = queue.enqueue(input("{1}", claim: 0), room: room)
        let part = queue.nextBatch { 0 }[0]
        _ = queue.enqueue(input("{2}", of: 9, claim: 5), room: room)
        let gone = queue.moved(part, claim: 5, members: [member(1), member(9)])
        #expect(gone.map(\.member) == [member(1)])
        #expect(queue.nextBatch { 0 }.map { text($0.append.body) } == ["{2}"])
    }

    @Test("refused ids go with the next part that tells of their member, and come back with it")
    func refusedIDs() {
        var queue = WriterQueue()
        queue.refuse(3, of: member(1), on: SubscriptionID(1))
        queue.refuse(1, of: member(1), on: SubscriptionID(1))
        _ = queue.enqueue(input("{1}", id: nil), room: other)
        _ = queue.enqueue(input("{2}", id: 1, of: 2), room: room)
        #expect(queue.nextBatch { 0 }.allSatisfy { $0.append.refused.isEmpty }, "without an id nothing is settled")
        var next = WriterQueue()
        next.refuse(3, of: member(1), on: SubscriptionID(1))
        next.refuse(1, of: member(1), on: SubscriptionID(1))
        _ = next.enqueue(input("{4}", id: 4), room: room)
        let refused = [RefusedIDs(clientID: member(1), ids: [1, 3])]
        let first = next.nextBatch { 0 }[0]
        #expect(first.append.refused == refused)
        next.putBack(first, to: .together)
        let again = next.nextBatch { 0 }[0]
        #expect(again.append.refused == refused)
        next.finished(again)
        _ = next.enqueue(input("{5}", id: 5), room: room)
        #expect(next.nextBatch { 0 }[0].append.refused.isEmpty)
    }

    @Test("a refused id waits for a higher one of its member, since a lower one may still be sent again")
    func refusedAboveDeferred() {
        var queue = WriterQueue()
        queue.refuse(3, of: member(1), on: SubscriptionID(1))
        queue.refuse(9, of: member(1), on: SubscriptionID(1))
        _ = queue.enqueue(input("{4}", id: 4), room: room)
        let first = queue.nextBatch { 0 }[0]
        #expect(first.append.refused == [RefusedIDs(clientID: member(1), ids: [3])])
        queue.finished(first)
        _ = queue.enqueue(input("{5}", id: 5), room: room)
        let second = queue.nextBatch { 0 }[0]
        #expect(second.append.refused.isEmpty)
        queue.finished(second)
        _ = queue.enqueue(input("{10}", id: 10), room: room)
        #expect(queue.nextBatch { 0 }[0].append.refused == [RefusedIDs(clientID: member(1), ids: [9])])
    }

    @Test("refused ids outlive their socket with what it has waiting, and no longer")
    func refusedOfEnded() {
        var queue = WriterQueue()
        queue.refuse(1, of: member(1), on: SubscriptionID(1))
        _ = queue.enqueue(input("{2}", id: 2), room: room)
        queue.refuse(3, of: member(1), on: SubscriptionID(1))
        queue.forget(SubscriptionID(1))
        let part = queue.nextBatch { 0 }[0]
        #expect(part.append.refused == [RefusedIDs(clientID: member(1), ids: [1])])
        queue.putBack(part, to: .together)
        let again = queue.nextBatch { 0 }[0]
        #expect(again.append.refused == [RefusedIDs(clientID: member(1), ids: [1])])
        queue.finished(again)
        _ = queue.enqueue(input("{4}", id: 4), room: room)
        #expect(queue.nextBatch { 0 }[0].append.refused.isEmpty, "nothing is remembered of it")
    }

    @Test("the ids of a part that cannot be stored are told with what its members have waiting")
    func refusedPart() {
        var queue = WriterQueue()
        _ = queue.enqueue(input("{1}", id: 1), room: room)
        let part = queue.nextBatch { 0 }[0]
        _ = queue.enqueue(input("{2}", id: 2), room: room)
        queue.refuse(part)
        let next = queue.nextBatch { 0 }[0]
        #expect(text(next.append.body) == "{2}")
        #expect(next.append.refused == [RefusedIDs(clientID: member(1), ids: [1])])
    }

    @Test("a room that was set aside is written apart until it has nothing left, and others go on")
    func apart() {
        var queue = WriterQueue()
        _ = queue.enqueue(input("{1}"), room: room)
        let first = queue.nextBatch { 0 }
        queue.putBack(first[0], to: .apart)
        _ = queue.enqueue(input("{2}"), room: room)
        _ = queue.enqueue(input("{3}"), room: other)
        #expect(queue.has(.apart))
        #expect(queue.nextBatch { 0 }.map(\.append.room) == [other])
        let apart = queue.nextApart { 0 }
        #expect(apart.map { text($0.append.body) } == "{1},{2}")
        #expect(!queue.has(.apart))
    }

    @Test("a part is not larger than a chunk")
    func chunk() {
        var queue = WriterQueue()
        let half = String(repeating: "x", count: Limits.chunkBytesMax / 2)
        for _ in 0..<3 { _ = queue.enqueue(input(half), room: room) }
        let first = queue.nextBatch { 0 }
        #expect(first.map(\.append.count) == [1])
        queue.finished(first[0])
        #expect(queue.nextBatch { 0 }.map(\.append.count) == [1])
    }

    @Test("only what waits can expire, and with it what the same member has waiting behind it")
    func expire() {
        var queue = WriterQueue()
        let (early, late) = (NIODeadline.uptimeNanoseconds(10), NIODeadline.uptimeNanoseconds(20))
        _ = queue.enqueue(input("{1}", id: 1, due: early), room: room)
        let underWay = queue.nextBatch { 0 }
        _ = queue.enqueue(input("{2}", id: 2, due: early), room: room)
        _ = queue.enqueue(input("{3}", id: 3, of: 2, due: late), room: room)
        _ = queue.enqueue(input("{4}", id: 4, due: late), room: room)
        #expect(queue.expire(at: early).map(\.ticket.request) == [2, 4])
        queue.finished(underWay[0])
        #expect(queue.nextBatch { 0 }.map { text($0.append.body) } == ["{3}"])
    }

    @Test("who had something given up is not let in again before each answer to it has arrived")
    func barred() {
        var queue = WriterQueue()
        let due = NIODeadline.uptimeNanoseconds(10)
        _ = queue.enqueue(input("{1}", id: 1), room: room)
        let part = queue.nextBatch { 0 }[0]
        _ = queue.enqueue(input("{2}", id: 2, due: due), room: room)
        #expect(queue.expire(at: due).count == 1)
        #expect(queue.giveUp(part).map(\.ticket.request) == [1])
        #expect(queue.waitingBytes == 0)
        #expect(queue.enqueue(input("{3}", id: 3), room: room) == false)
        queue.readmit([SubscriptionID(1)])
        #expect(queue.enqueue(input("{3}", id: 3), room: room) == false)
        #expect(queue.enqueue(input("{5}", id: 5, of: 2), room: room) == true)
        queue.readmit([SubscriptionID(1)])
        #expect(queue.enqueue(input("{3}", id: 3), room: room) == true)
    }

    @Test(
        "a room with a rule is judged as a whole; what the rule wrote is what is shown, what it refused goes to the log"
    )
    func ruled() {
        var queue = WriterQueue()
        for (change, id) in [("{1}", 1), ("{2}", 2), ("{3}", 3), ("{4}", 4)] as [(String, Int64)] {
            _ = queue.enqueue(input(change, id: id, isRuled: true), room: room)
        }
        _ = queue.enqueue(input("{5}"), room: other)
        let parts = queue.nextBatch { 0 }
        #expect(parts.map(\.append.isRuled) == [true, false])
        #expect(parts[0].append.judged?.count == 4 && parts[1].append.judged == nil)
        let (accepted, refused) = queue.judged(
            parts[0], [.accepted, .rewritten(Array("{two}".utf8)), .refused(reason: "no"), .refused(reason: "no")])
        #expect(text(accepted.append.body) == "{1},{two}" && accepted.append.count == 2)
        #expect(accepted.inputs.map(\.ticket.request) == [1, 2])
        #expect(refused.map(\.0.ticket.request) == [3, 4])
        queue.finished(parts[0])
        _ = queue.enqueue(input("{6}", id: 6, isRuled: true), room: room)
        #expect(queue.nextBatch { 0 }.first?.append.refused == [RefusedIDs(clientID: member(1), ids: [3, 4])])
        #expect(queue.waitingBytes == 6)
    }

    @Test("a full queue takes nothing, and takes again when it has been written")
    func full() {
        var queue = WriterQueue()
        let big = input(String(repeating: "x", count: WriterQueue.roomBytesMax))
        let rooms = (1...8 as ClosedRange<Int64>).map { RoomNumber($0) }
        for room in rooms { #expect(queue.enqueue(big, room: room) == true) }
        #expect(queue.waitingBytes == WriterQueue.bytesMax)
        #expect(queue.enqueue(input("{1}"), room: RoomNumber(9)) == false)
        queue.finished(queue.nextBatch { 0 }[0])
        #expect(queue.enqueue(input("{1}"), room: RoomNumber(9)) == true)
    }

    @Test("a room with all that it may have waiting takes nothing, the others do; what is put back counts again")
    func fullRoom() {
        var queue = WriterQueue()
        let half = input(String(repeating: "x", count: WriterQueue.roomBytesMax / 2))
        for _ in 1...2 { #expect(queue.enqueue(half, room: room) == true) }
        #expect(queue.enqueue(input("{1}"), room: room) == false)
        #expect(queue.enqueue(input("{1}"), room: other) == true)
        let underWay = queue.nextBatch { 0 }[0]
        #expect(queue.enqueue(half, room: room) == true)
        queue.putBack(underWay, to: .apart)
        #expect(queue.enqueue(input("{1}"), room: room) == false)
        #expect(queue.remove([SubscriptionID(1)], from: room).count == 3)
        #expect(queue.enqueue(half, room: room) == true)
    }

    @Test("of a part that cannot be stored the inputs are tried one by one, and only the culprit is refused")
    func unfit() {
        var queue = WriterQueue()
        for (index, change) in ["{1}", "{2}", "{3}"].enumerated() {
            _ = queue.enqueue(input(change, id: Int64(index + 1), of: UInt64(index + 1)), room: room)
        }
        #expect(queue.unfit(queue.nextBatch { 0 }[0]).isEmpty)
        _ = queue.enqueue(input("{4}", id: 4), room: room)
        _ = queue.enqueue(input("{5}", id: 5), room: room)
        let first = queue.nextBatch { 0 }[0]
        #expect(text(first.append.body) == "{1}")
        queue.finished(first)
        let second = queue.nextBatch { 0 }[0]
        #expect(text(second.append.body) == "{2}")
        #expect(queue.unfit(second).map(\.ticket.request) == [2])
        let third = queue.nextBatch { 0 }[0]
        #expect(text(third.append.body) == "{3}")
        queue.finished(third)
        #expect(queue.nextBatch { 0 }.map { text($0.append.body) } == ["{4},{5}"])
    }

    @Test(
        "a part that is too much at once is tried in halves, and halves of these, in order; what came since is not suspect"
    )
    func divide() {
        var queue = WriterQueue()
        for id in 1...8 { _ = queue.enqueue(input("{\(id)}", id: Int64(id)), room: room) }
        queue.divide(queue.nextBatch { 0 }[0], on: .together)
        _ = queue.enqueue(input("{9}", id: 9), room: room)
        _ = queue.enqueue(input("{10}", id: 10), room: room)
        func next() -> WriterQueue.Part { queue.nextBatch { 0 }[0] }
        let half = next()
        #expect(text(half.append.body) == "{1},{2},{3},{4}")
        queue.divide(half, on: .together)
        for bodies in ["{1},{2}", "{3},{4}", "{5},{6}", "{7},{8}", "{9},{10}"] {
            let part = next()
            #expect(text(part.append.body) == bodies)
            queue.finished(part)
        }
        #expect(queue.waitingBytes == 0)
    }

    @Test(
        "apart, rooms that are slow themselves and those that were only locked have turns, however many there are of each"
    )
    func slowApart() {
        var queue = WriterQueue()
        for number in 1...6 {
            _ = queue.enqueue(input("{}", id: 1, of: UInt64(number)), room: RoomNumber(Int64(number)))
        }
        let parts = queue.nextBatch { 0 }
        for part in parts { queue.putBack(part, to: .apart, isSlow: part.append.room.value <= 4) }
        var order: [Int64] = []
        while let part = queue.nextApart(tag: { 0 }) {
            order.append(part.append.room.value)
            queue.finished(part)
        }
        #expect(order == [1, 5, 2, 6, 3, 4])
        #expect(!queue.has(.apart))
    }

    @Test("what a subscription has waiting can be taken out")
    func remove() {
        var queue = WriterQueue()
        _ = queue.enqueue(input("{1}", of: 1), room: room)
        _ = queue.enqueue(input("{2}", of: 2), room: room)
        queue.remove([SubscriptionID(1)], from: room)
        #expect(queue.nextBatch { 0 }.map { text($0.append.body) } == ["{2}"])
    }
}
