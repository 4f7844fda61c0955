import ParleyClient
import Testing

/// Messages: each applied once, in order, whatever happens.
@Suite("A client's messages")
struct OutboxTests {
    @Test("ids rise from 1, and a message is settled by the update that shows it")
    func shown() throws {
        var client = try Script.joined()
        client.says("one", ["> message id:1 r message:one"])
        client.says("two", ["> message id:2 r message:two"])
        client.hears(Frames.update(5, 6, own: [5: 1]), ["settle 2 at 5", "r 5 6"])
        client.hears(Frames.update(7, 7, own: [7: 2]), ["settle 3 at 7", "r 7"])
    }

    @Test("before the join reply nothing is sent, and ids begin above lastId")
    func afterJoin() {
        var client = Script()
        client.start()
        client.connects()
        client.joins("r")
        client.says("one", [])
        client.hears(
            Frames.joinReply(lastID: 9, from: 1, to: 0),
            ["settle 1 joined", "r joined 1...0", "> message id:10 r message:one"])
    }

    @Test("on a new socket what is unanswered above lastId goes out again, lowest first, then what is new")
    func resend() throws {
        var client = try Script.joined()
        for text in ["one", "two", "three"] { client.says(text) }
        client.ends(nil)
        client.says("four", [])
        client.rings()
        client.connects(session: "s2", resumed: true, ["open n1 me resumed", "silence r", "> join #2 r after:4-4"])
        client.hears(
            Frames.joinReply(request: 2, lastID: 1, from: 5, to: 5, own: [5: 1]),
            [
                "settle 2 at 5", "r 5", "> message id:2 r message:two", "> message id:3 r message:three",
                "> message id:4 r message:four",
            ])
    }

    @Test("lastId says that it is applied, and an update later where")
    func judgedByLastID() throws {
        var client = try Script.joined()
        client.says("one")
        client.says("two")
        client.reconnects(["open n1 me resumed", "silence r", "> join #2 r after:4-4"])
        client.hears(
            Frames.joinReply(request: 2, lastID: 2, refused: [1], from: 5, to: 5), ["r 5", "settle 2 refused_before"])
        client.hears(Frames.update(6, 6, own: [6: 2]), ["settle 3 at 6", "r 6"])
    }

    @Test("an ack of a repeat settles it with the place that an update shows, before or after")
    func duplicate() throws {
        var client = try Script.joined()
        client.says("one")
        client.reconnects(["open n1 me resumed", "silence r", "> join #2 r after:4-4"])
        client.hears(Frames.joinReply(request: 2, lastID: 0, from: 5, to: 4), ["> message id:1 r message:one"])
        client.hears(Frames.ack(1), [])
        client.hears(Frames.update(5, 5, own: [5: 1]), ["settle 2 at 5", "r 5"])
        client.hears(Frames.ack(1), [])
        client.hears(Frames.ack(7), ["violation r: an ack for 7, which was never sent"])
    }

    @Test("applied, but its place was skipped by a reset, in a reply or unasked")
    func skipped() throws {
        var client = try Script.joined()
        client.says("one")
        client.reconnects(["open n1 me resumed", "silence r", "> join #2 r after:4-4"])
        client.hears(
            Frames.joinReply(request: 2, lastID: 1, from: 90, to: 99, reset: true),
            ["r reset 90...99", "settle 2 somewhere"])
        client.says("two")
        client.hears(Frames.ack(2), [])
        client.hears(Frames.copy(from: 200, to: 210), ["r reset 200...210", "settle 3 somewhere"])
    }

    @Test("an error for good settles its id alone")
    func refused() throws {
        var client = try Script.joined()
        client.says("one")
        client.says("two")
        client.hears(Frames.error("too_large", id: 1), ["settle 2 too_large"])
        client.hears(Frames.update(5, 5, own: [5: 2]), ["settle 3 at 5", "r 5"])
        client.hears(Frames.error("forbidden", id: 2), ["violation r: `forbidden` for 2, which is applied"])
        client.hears(Frames.error("forbidden", id: 3), ["violation r: `forbidden` for 3, which was never sent"])
    }

    @Test("an error for now: the same ids again after the pause, lowest first, and nothing overtakes")
    func temporary() throws {
        var client = try Script.joined()
        client.says("one")
        client.says("two")
        client.hears(Frames.error("unavailable", id: 2, retryMs: 250), ["alarm r 250"])
        client.says("three", [])
        client.hears(Frames.error("unavailable", id: 1, retryMs: 250), [])
        client.roomRings([
            "> message id:1 r message:one", "> message id:2 r message:two", "> message id:3 r message:three",
        ])
        client.hears(
            Frames.update(5, 7, own: [5: 1, 6: 2, 7: 3]),
            ["settle 2 at 5", "settle 3 at 6", "settle 4 at 7", "r 5 6 7"])
    }

    @Test("an id that was answered so is sent again even if an update shows it meanwhile")
    func shownMeanwhile() throws {
        var client = try Script.joined()
        client.says("one")
        client.hears(Frames.error("unavailable", id: 1, retryMs: 250), ["alarm r 250"])
        client.hears(Frames.update(5, 5, own: [5: 1]), ["settle 2 at 5", "r 5"])
        client.says("two", [])
        client.roomRings(["> message id:1 r message:one", "> message id:2 r message:two"])
        client.hears(Frames.ack(1), [])
        client.hears(Frames.update(6, 6, own: [6: 2]), ["settle 3 at 6", "r 6"])
    }

    @Test("and also if the update came first")
    func shownBefore() throws {
        var client = try Script.joined()
        client.says("one")
        client.hears(Frames.update(5, 5, own: [5: 1]), ["settle 2 at 5", "r 5"])
        client.hears(Frames.error("unavailable", id: 1, retryMs: 40), ["alarm r 40"])
        client.roomRings(["> message id:1 r message:one"])
        client.hears(Frames.ack(1), [])
    }

    @Test("a pause ends with its socket; the next one begins with what is unanswered")
    func pauseAndSocket() throws {
        var client = try Script.joined()
        client.says("one")
        client.hears(Frames.error("unavailable", id: 1, retryMs: 250), ["alarm r 250"])
        client.ends(nil, ["waiting: connection lost", "alarm link 0...250", "silence r", "silence r"])
        client.rings()
        client.connects(session: "s2", resumed: true, ["open n1 me resumed", "silence r", "> join #2 r after:4-4"])
        client.hears(Frames.joinReply(request: 2, lastID: 0, from: 5, to: 4), ["> message id:1 r message:one"])
    }

    @Test("no more than limits.inFlight are unanswered")
    func inFlight() throws {
        var client = Script()
        client.start()
        client.connects(inFlight: 2)
        client.joins("r")
        client.hears(Frames.joinReply(lastID: 0, from: 1, to: 0), ["settle 1 joined", "r joined 1...0"])
        client.says("one", ["> message id:1 r message:one"])
        client.says("two", ["> message id:2 r message:two"])
        client.says("three", [])
        client.hears(Frames.error("rate_limited", id: 2, retryMs: 250), ["alarm r 250"])
        client.hears(Frames.update(1, 1, own: [1: 1]), ["settle 2 at 1", "r 1"])
        client.roomRings(["> message id:2 r message:two", "> message id:3 r message:three"])
    }

    @Test("what waits to be sent has a bound")
    func bound() {
        var client = Script()
        client.start()
        client.joins("r")
        for _ in 0..<4_096 { client.says("x", []) }
        client.says("x", ["settle 4098 too many"])
    }

    @Test("a session that could not be taken up: what it sent is not sent again, what waited goes on")
    func freshSession() throws {
        var client = try Script.joined()
        client.says("one")
        client.says("two")
        client.hears(Frames.ack(2), [])
        client.ends(nil)
        client.says("three", [])
        client.rings()
        client.connects(
            client: "new", session: "s2", resumed: false, ["open n1 new", "silence r", "> join #2 r after:4-4"])
        client.hears(
            Frames.joinReply(request: 2, lastID: 0, from: 5, to: 4),
            ["settle 2 unknown", "> message id:1 r message:three"])
        // The one that was acknowledged is the former client's.
        client.hears(Frames.update(5, 5, own: [5: 2]), ["settle 3 at 5", "r 5"])
        client.hears(Frames.update(6, 6, own: [6: 1], client: "new"), ["settle 4 at 6", "r 6"])
    }

    @Test("what was acknowledged must not be missing on the next socket")
    func lostAfterAck() throws {
        var client = try Script.joined()
        client.says("one")
        client.hears(Frames.ack(1), [])
        client.reconnects(["open n1 me resumed", "silence r", "> join #2 r after:4-4"])
        client.hears(
            Frames.joinReply(request: 2, lastID: 0, from: 5, to: 4),
            ["violation r: 1 was acknowledged, and lastId is 0"])
    }

    @Test("lastId above what was ever sent, and another client's name for one's session, are told")
    func invented() throws {
        var client = try Script.joined()
        client.reconnects(
            client: "you",
            [
                "violation the session of me was taken up as you", "open n1 you resumed", "silence r",
                "> join #2 r after:4-4",
            ])
        client.hears(Frames.joinReply(request: 2, lastID: 0, from: 5, to: 4), [])
        client.reconnects(client: "you", ["open n1 you resumed", "silence r", "> join #3 r after:4-4"])
        client.hears(
            Frames.joinReply(request: 3, lastID: 5, from: 5, to: 4), ["violation r: lastId 5, 0 is the last sent"])
    }
}
