import NIOCore
import ParleyCore
import ParleyHub
import Testing

@Suite("Writer queue")
struct WriterQueueTests {
    private let room = RoomNumber(1)
    private let other = RoomNumber(2)

    private func input(_ change: String, id: Int64 = 1, of subscription: UInt64 = 1, due: NIODeadline = .distantFuture)
        -> Input
    {
        Input(
            ticket: Ticket(loop: 0, subscription: SubscriptionID(subscription), request: id),
            change: Array(change.utf8),
            deadline: due)
    }

    @Test("all inputs of a room become one part, in their order")
    func onePart() {
        var queue = WriterQueue()
        for change in ["{1}", "{2}"] { #expect(queue.enqueue(input(change), room: room, claim: 0) == true) }
        #expect(queue.enqueue(input("{3}"), room: other, claim: 5) == true)
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
        _ = queue.enqueue(input("{1}"), room: room, claim: 0)
        let first = queue.nextBatch { 0 }
        _ = queue.enqueue(input("{2}"), room: room, claim: 0)
        #expect(queue.nextBatch { 0 }.isEmpty)
        queue.finished(first[0])
        #expect(queue.nextBatch { 0 }.map { text($0.append.body) } == ["{2}"])
    }

    @Test("what was not applied goes before what came since")
    func putBack() {
        var queue = WriterQueue()
        _ = queue.enqueue(input("{1}"), room: room, claim: 0)
        let first = queue.nextBatch { 0 }
        _ = queue.enqueue(input("{2}"), room: room, claim: 0)
        queue.putBack(first[0], claim: 3, to: .together)
        let again = queue.nextBatch { 0 }
        #expect(again.map { text($0.append.body) } == ["{1},{2}"])
        #expect(again.map(\.append.claim) == [3])
    }

    @Test("a room that was set aside is written apart until it has nothing left, and others go on")
    func apart() {
        var queue = WriterQueue()
        _ = queue.enqueue(input("{1}"), room: room, claim: 0)
        let first = queue.nextBatch { 0 }
        queue.putBack(first[0], claim: nil, to: .apart)
        _ = queue.enqueue(input("{2}"), room: room, claim: 0)
        _ = queue.enqueue(input("{3}"), room: other, claim: 0)
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
        for _ in 0..<3 { _ = queue.enqueue(input(half), room: room, claim: 0) }
        let first = queue.nextBatch { 0 }
        #expect(first.map(\.append.count) == [1])
        queue.finished(first[0])
        #expect(queue.nextBatch { 0 }.map(\.append.count) == [1])
    }

    @Test("only what waits can expire, and with it what the same member has waiting behind it")
    func expire() {
        var queue = WriterQueue()
        let (early, late) = (NIODeadline.uptimeNanoseconds(10), NIODeadline.uptimeNanoseconds(20))
        _ = queue.enqueue(input("{1}", id: 1, due: early), room: room, claim: 0)
        let underWay = queue.nextBatch { 0 }
        _ = queue.enqueue(input("{2}", id: 2, due: early), room: room, claim: 0)
        _ = queue.enqueue(input("{3}", id: 3, of: 2, due: late), room: room, claim: 0)
        _ = queue.enqueue(input("{4}", id: 4, due: late), room: room, claim: 0)
        #expect(queue.expire(at: early).map(\.ticket.request) == [2, 4])
        queue.finished(underWay[0])
        #expect(queue.nextBatch { 0 }.map { text($0.append.body) } == ["{3}"])
    }

    @Test("who had something given up is not let in again before each answer to it has arrived")
    func barred() {
        var queue = WriterQueue()
        let due = NIODeadline.uptimeNanoseconds(10)
        _ = queue.enqueue(input("{1}", id: 1), room: room, claim: 0)
        let part = queue.nextBatch { 0 }[0]
        _ = queue.enqueue(input("{2}", id: 2, due: due), room: room, claim: 0)
        #expect(queue.expire(at: due).count == 1)
        #expect(queue.giveUp(part).map(\.ticket.request) == [1])
        #expect(queue.waitingBytes == 0)
        #expect(queue.enqueue(input("{3}", id: 3), room: room, claim: 0) == false)
        queue.readmit([SubscriptionID(1)])
        #expect(queue.enqueue(input("{3}", id: 3), room: room, claim: 0) == false)
        #expect(queue.enqueue(input("{5}", id: 5, of: 2), room: room, claim: 0) == true)
        queue.readmit([SubscriptionID(1)])
        #expect(queue.enqueue(input("{3}", id: 3), room: room, claim: 0) == true)
    }

    @Test("a full queue takes nothing, and takes again when it has been written")
    func full() {
        var queue = WriterQueue()
        let big = String(repeating: "x", count: WriterQueue.bytesMax)
        #expect(queue.enqueue(input(big), room: room, claim: 0) == true)
        #expect(queue.enqueue(input("{1}"), room: other, claim: 0) == false)
        queue.finished(queue.nextBatch { 0 }[0])
        #expect(queue.waitingBytes == 0)
        #expect(queue.enqueue(input("{1}"), room: other, claim: 0) == true)
    }

    @Test("what a subscription has waiting can be taken out")
    func remove() {
        var queue = WriterQueue()
        _ = queue.enqueue(input("{1}", of: 1), room: room, claim: 0)
        _ = queue.enqueue(input("{2}", of: 2), room: room, claim: 0)
        queue.remove([SubscriptionID(1)], from: room)
        #expect(queue.nextBatch { 0 }.map { text($0.append.body) } == ["{2}"])
    }
}
