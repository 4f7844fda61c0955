import NIOCore
import ParleyClient
import ParleyCore
import TestFaults
import Testing

/// A judge that never condemns is none: each broken promise is found.
@Suite("The checker")
struct CheckerTests {
    /// Two clients in a room of four changes, all as it should be.
    private struct Case {
        var rows: [RoomLog.Row]
        var lastSeq: Seq = 4
        var ann = SpeakerRecord(number: 0)
        var bob = SpeakerRecord(number: 1)
        var seen: [String]
        var witnessed: [Witness.Testimony: Int]?

        init() {
            let texts = [
                Self.change("ann", 1, speaker: 0, number: 1), Self.change("bob", 1, speaker: 1, number: 1),
                Self.change("ann", 2, speaker: 0, number: 2), Self.change("bob", 2, speaker: 1, number: 2),
            ]
            seen = texts
            rows = [
                RoomLog.Row(first: 1, last: 1, body: texts[0]),
                RoomLog.Row(first: 2, last: 4, body: texts[1...].joined(separator: ",")),
            ]
            (ann.clientIDs, bob.clientIDs) = (["ann"], ["bob"])
            (ann.outcomes, bob.outcomes) = ([.durable(1), .durable(3)], [.durable(2), .durable(4)])
            (ann.end, bob.end) = (4, 4)
        }

        static func change(_ client: String, _ id: Int, speaker: Int, number: Int) -> String {
            let text = Speech.text(speaker: speaker, number: number)
            return #"{"clientId":"\#(client)","id":\#(id),"at":1,"message":\#(text)}"#
        }

        func violations() throws -> [String] {
            let room = RoomRecord(id: "r")
            for (index, text) in seen.enumerated() {
                room.saw(try Change.all(in: text, from: Seq(index + 1), to: Seq(index + 1)), by: 0)
            }
            var checker = Checker()
            checker.check(
                RoomLog(room: "r", lastSeq: lastSeq, rows: rows), seenBy: room, [ann, bob], witnessed: witnessed)
            return checker.violations
        }
    }

    @Test("nothing to say against a run as it should be")
    func innocent() throws {
        #expect(try Case().violations() == [])
    }

    @Test("a gap in the log, and a counter that does not fit")
    func gap() throws {
        var gap = Case()
        gap.rows[1].first = 3
        gap.rows[1].last = 5
        #expect(try gap.violations() == ["r: the log goes on with 3 behind 1"])
        var counter = Case()
        counter.lastSeq = 5
        #expect(try counter.violations().first == "r: its counter says 5, its log ends at 4")
    }

    @Test("applied twice, under one id or under two")
    func twice() throws {
        for id in [2, 3] {
            var twice = Case()
            let again = Case.change("ann", id, speaker: 0, number: 2)
            twice.rows.append(RoomLog.Row(first: 5, last: 5, body: again))
            twice.seen.append(again)
            (twice.lastSeq, twice.ann.end, twice.bob.end) = (5, 5, 5)
            #expect(try twice.violations().contains { $0.contains("is there twice, at 3 and 5") })
            #expect(try twice.violations().contains { $0.contains("were applied 2 times") } == (id == 2))
        }
    }

    @Test("acknowledged and lost, acknowledged at another place, refused and applied")
    func lies() throws {
        var lost = Case()
        lost.ann.outcomes.append(.durable(9))
        #expect(try lost.violations() == ["r, client 0 (ann): told that 3 is at 9, it is not there"])
        var moved = Case()
        moved.ann.outcomes[1] = .durable(4)
        #expect(try moved.violations() == ["r, client 0 (ann): told that 2 is at 4, it is at 3"])
        var refused = Case()
        refused.bob.outcomes[0] = .refused("no")
        #expect(try refused.violations() == ["r, client 1 (bob): told that 1 is not applied (no), it is at 2"])
        var skipped = Case()
        skipped.bob.outcomes.append(.durableSomewhere)
        #expect(try skipped.violations() == ["r, client 1 (bob): told that 3 is durable, it is not there"])
        var open = Case()
        open.bob.outcomes.append(.pending)
        #expect(try open.violations() == ["r, client 1 (bob): 3 was not settled, it is not there"])
    }

    @Test("a room with a rule: its notes are what the log has, and it refused what it had to, and nothing else")
    func witnessed() throws {
        func testimony(_ speaker: Int, _ number: Int) -> Witness.Testimony {
            Witness.Testimony(speaker: speaker, number: number)
        }
        var ruled = Case()
        ruled.witnessed = [testimony(0, 1): 1, testimony(0, 2): 1, testimony(1, 1): 1, testimony(1, 2): 1]
        #expect(try ruled.violations() == [])
        var twice = ruled
        twice.witnessed?[testimony(1, 2)] = 2
        #expect(try twice.violations() == ["r: the rule noted 2 of 1 2 times, it is at 4"])
        var undone = ruled
        undone.witnessed?[testimony(0, 3)] = 1
        #expect(try undone.violations() == ["r: the rule noted 3 of 0 1 times, it is not there"])
        var unasked = ruled
        unasked.witnessed?[testimony(0, 1)] = nil
        #expect(try unasked.violations() == ["r at 1: 1 of 0, of which the rule has noted nothing"])

        var refused = ruled
        refused.bob.outcomes += [.refused("unlucky"), .refused("unlucky")]
        #expect(try refused.violations() == ["r, client 1 (bob): 3 was refused for no reason: unlucky"])
        var lenient = refused
        let unlucky = Case.change("bob", 4, speaker: 1, number: 4)
        lenient.rows.append(RoomLog.Row(first: 5, last: 5, body: unlucky))
        lenient.seen.append(unlucky)
        (lenient.lastSeq, lenient.ann.end, lenient.bob.end) = (5, 5, 5)
        lenient.bob.outcomes = [.durable(2), .durable(4), .durable(5), .durable(5)]
        #expect(try lenient.violations().contains("r at 5: 4 of 1, which the rule refuses"))
    }

    @Test("overtaken, invented, in another's name")
    func order() throws {
        var overtaken = Case()
        let body = [(0, 2), (1, 1), (0, 1), (1, 2)].map { speaker, number in
            Case.change(speaker == 0 ? "ann" : "bob", number, speaker: speaker, number: number)
        }
        overtaken.seen = body
        overtaken.rows = [RoomLog.Row(first: 1, last: 4, body: body.joined(separator: ","))]
        overtaken.ann.outcomes = [.durable(3), .durable(1)]
        #expect(try overtaken.violations() == ["r at 3: 1 of 0 behind its 2"])
        var invented = Case()
        invented.bob.outcomes.removeLast()
        #expect(try invented.violations().first?.hasPrefix("r at 4: nobody said ") == true)
        var other = Case()
        other.ann.clientIDs = ["anna"]
        #expect(try other.violations().first == "r at 1: said by 0, in the name of ann")
    }

    @Test("clients that saw something else than each other, or than the log")
    func views() throws {
        var other = Case()
        other.seen[1] = Case.change("bob", 1, speaker: 1, number: 1).replacing(#""at":1"#, with: #""at":2"#)
        #expect(try other.violations().first?.hasPrefix("r at 2: clients saw something else than ") == true)
        var beyond = Case()
        beyond.seen.append(Case.change("ann", 9, speaker: 0, number: 9))
        #expect(try beyond.violations() == ["r: clients saw a change at 5, the log ends at 4"])
        let room = RoomRecord(id: "r")
        room.saw(try Change.all(in: #"{"message":1}"#, from: 1, to: 1), by: 0)
        room.saw(try Change.all(in: #"{"message":2}"#, from: 1, to: 1), by: 1)
        #expect(room.differences.count == 1)
        var behind = Case()
        behind.bob.end = 3
        #expect(try behind.violations() == ["r, client 1 (bob): knows the room up to 3 of 4"])
    }

    @Test("a hole, a repeat and a wrong place in one client's reports")
    func reports() throws {
        var record = SpeakerRecord(number: 0)
        let changes = try Change.all(in: "{},{},{},{}", from: 5, to: 8)
        record.saw(Array(changes[..<2]), upTo: 6, restarts: true)
        record.saw(Array(changes[3...]), upTo: 8, restarts: false)
        record.saw(Array(changes[3...]), upTo: 8, restarts: false)
        #expect(record.violations == ["reported 8 behind 6", "reported 8 behind 8"])
    }
}
