import ParleyCore
import ParleyHub
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
        machine.readEnded()
        #expect(machine.startRead() == nil)
    }

    @Test("what was delivered before is dropped, and an overlap is cut")
    func overlap() {
        var machine = RoomMachine(at: Position(seq: 0, tag: 0))
        _ = machine.received(run(1...4))
        #expect(machine.received(run(2...3)).isEmpty)
        #expect(machine.received(run(3...6)) == [run(5...6)])
    }

    @Test("an announcement alone makes it read, and a read that found nothing leaves it behind")
    func announced() {
        var machine = RoomMachine(at: Position(seq: 9, tag: 0))
        machine.announced(12)
        #expect(machine.startRead() == 9)
        machine.readEnded()
        #expect(machine.isBehind)
        #expect(machine.startRead() == 9)
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
                machine.readEnded()
            } else {
                let from = Seq.random(in: 1...last, using: &random)
                take(machine.received(run(from...min(last, from + Seq.random(in: 0...9, using: &random)))))
            }
        }
        #expect(delivered == Array(1...last), "seed \(seed)")
    }
}
