import ParleyCore
import ParleyHub
import TestRandom
import Testing

@Suite("Room machine")
struct RoomMachineTests {
    @Test("runs in order are delivered as they come")
    func inOrder() {
        var machine = RoomMachine(at: Position(seq: 4, tag: 1))
        #expect(machine.received(run(5...6)) == [run(5...6)])
        #expect(machine.received(run(7...7)) == [run(7...7)])
        #expect(machine.end == Position(seq: 7, tag: 7))
        #expect(machine.startRead() == nil)
    }

    @Test("a run beyond a gap is held, and delivered once the gap was read")
    func gap() {
        var machine = RoomMachine(at: Position(seq: 0, tag: 0))
        #expect(machine.received(run(4...5)).isEmpty)
        #expect(machine.startRead() == 0)
        #expect(machine.startRead() == nil, "one read at a time")
        #expect(machine.received(run(1...3)) == [run(1...3), run(4...5)])
        machine.readEnded(foundSomething: true)
        #expect(machine.startRead() == nil)
    }

    @Test("what was delivered before is dropped, and an overlap is cut")
    func overlap() {
        var machine = RoomMachine(at: Position(seq: 0, tag: 0))
        _ = machine.received(run(1...4))
        #expect(machine.received(run(2...3)).isEmpty)
        #expect(machine.received(run(3...6)) == [run(5...6)])
    }

    @Test("an announcement makes it read; what is not in the log then is not waited for")
    func announced() {
        var machine = RoomMachine(at: Position(seq: 9, tag: 0))
        machine.announced(12)
        #expect(machine.isBehind)
        #expect(machine.startRead() == 9)
        machine.readEnded(foundSomething: false)
        #expect(!machine.isBehind)
        #expect(machine.startRead() == nil, "the log is the truth")
        machine.announced(12)
        #expect(machine.startRead() == 9, "the same hint again is a new one")
    }

    @Test("a hint that comes during a read may be ahead of what it saw: one more read, and no third")
    func announcedMeanwhile() {
        var machine = RoomMachine(at: Position(seq: 9, tag: 0))
        machine.announced(10)
        #expect(machine.startRead() == 9)
        machine.announced(12)
        machine.readEnded(foundSomething: false)
        #expect(machine.startRead() == 9)
        machine.readEnded(foundSomething: false)
        #expect(machine.startRead() == nil)
    }

    @Test("in doubt it is read once more, after a read that is under way")
    func doubt() {
        var machine = RoomMachine(at: Position(seq: 9, tag: 0))
        machine.doubt()
        #expect(machine.startRead() == 9)
        machine.doubt()
        #expect(machine.startRead() == nil)
        _ = machine.received(run(10...10))
        machine.readEnded(foundSomething: true)
        #expect(machine.startRead() == 10)
        machine.readEnded(foundSomething: false)
        #expect(machine.startRead() == nil)
    }

    @Test("in doubt it is read page by page, up to the end that nobody has spoken of")
    func doubtPages() {
        var machine = RoomMachine(at: Position(seq: 0, tag: 0))
        machine.doubt()
        for page in [run(1...512), run(513...1024)] {
            #expect(machine.startRead() == page.from - 1)
            _ = machine.received(page)
            machine.readEnded(foundSomething: true, hasMore: true)
        }
        #expect(machine.startRead() == 1024)
        _ = machine.received(run(1025...1025))
        machine.readEnded(foundSomething: true, hasMore: false)
        #expect(machine.startRead() == nil)
    }

    /// Hints are true when they are sent, and come late or not at all; or they are false; or all is in doubt. A read sees a
    /// page of the log as it was at some moment while it was under way.
    @Test("whatever the hints: few reads, and nothing is missed of what a hint has spoken of", arguments: 0..<300)
    func hints(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var machine = RoomMachine(at: Position(seq: 0, tag: 0))
        var (head, promised, hints, reads, found): (Seq, Seq, Int, Int, Int) = (0, 0, 0, 0, 0)
        var underWay: (after: Seq, sees: Seq)?
        func readEnds() {
            guard let read = underWay else { return }
            let end = min(read.sees, read.after + 3)
            if read.sees > read.after {
                _ = machine.received(run(read.after + 1...end))
                found += 1
            }
            machine.readEnded(foundSomething: read.sees > read.after, hasMore: end < read.sees)
            underWay = nil
        }
        func readBegins() {
            guard let after = machine.startRead() else { return }
            reads += 1
            underWay = (after, head)
        }
        for _ in 0..<200 {
            switch Int.random(in: 0..<7, using: &random) {
            case 0: head += Seq.random(in: 1...4, using: &random)
            case 6:
                machine.doubt()
                promised = max(promised, head)
                hints += 1
            case 1:
                machine.announced(head)
                promised = max(promised, head)
                hints += 1
            case 2:
                machine.announced(head + Seq.random(in: 1...5, using: &random))
                hints += 1
            case 3: if Bool.random(using: &random) { underWay?.sees = head }
            case 4: readEnds()
            default: readBegins()
            }
        }
        // A read that brings something is owed by the log; the others by the hints, two at most by each.
        while true {
            readEnds()
            readBegins()
            guard underWay != nil else { break }
            guard reads <= 2 * hints + found else { break }
        }
        #expect(machine.end.seq >= promised, "seed \(seed)")
        #expect(reads <= 2 * hints + found, "seed \(seed)")
    }

    @Test("what is held has a bound; what was given up is read again")
    func bound() {
        var machine = RoomMachine(at: Position(seq: 0, tag: 0))
        let big = Run(from: 3, to: 3, tag: 1, body: Array(repeating: 0x20, count: RoomMachine.heldBytesMax))
        _ = machine.received(big)
        _ = machine.received(run(5...5))
        #expect(machine.received(run(1...2)).map(\.to) == [2, 3])
        #expect(machine.startRead() == 3, "5 was announced, and given up")
    }

    @Test("after a hole in the log it goes on behind the hole")
    func skip() {
        var machine = RoomMachine(at: Position(seq: 1, tag: 0))
        _ = machine.received(run(50...51))
        machine.skip(to: Position(seq: 49, tag: 0))
        #expect(machine.received(run(50...50)) == [run(50...50), run(51...51)])
    }

    @Test("whatever the order, the overlaps and the repeats: each change once, in order", arguments: 0..<200)
    func interleavings(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var machine = RoomMachine(at: Position(seq: 0, tag: 0))
        let last: Seq = 60
        var delivered: [Seq] = []
        func take(_ runs: [Run]) { for run in runs { delivered += Array(run.from...run.to) } }
        while delivered.count < last {
            if Bool.random(using: &random), let after = machine.startRead() {
                let to = Seq.random(in: after...last, using: &random)
                if to > after { take(machine.received(run(after + 1...to))) }
                machine.readEnded(foundSomething: to > after)
            } else {
                let from = Seq.random(in: 1...last, using: &random)
                take(machine.received(run(from...min(last, from + Seq.random(in: 0...9, using: &random)))))
            }
        }
        #expect(delivered == Array(1...last), "seed \(seed)")
    }
}
