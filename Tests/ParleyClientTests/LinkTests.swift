import ParleyClient
import Testing

/// Sockets: when, where, and when no more.
@Suite("A client's link")
struct LinkTests {
    @Test("the first address first; each failure goes to the next one after a full-jitter back-off that doubles")
    func roundRobin() {
        var client = Script(["a", "b"])
        client.start(["connecting a", "open 1 a", "alarm link 5000"])
        client.ends(nil, ["waiting: connection lost", "alarm link 0...250"])
        client.rings(["connecting b", "open 2 b", "alarm link 5000"])
        client.ends(nil, ["waiting: connection lost", "alarm link 0...500"])
        client.rings(["connecting a", "open 3 a", "alarm link 5000"])
        for most in [1_000, 2_000, 4_000, 8_000, 10_000, 10_000] {
            client.ends(nil, ["waiting: connection lost", "alarm link 0...\(most)"])
            client.rings()
        }
    }

    @Test("`connect` makes it open, and the newest session is taken up next")
    func resume() {
        var client = Script(session: "s0")
        client.start(["connecting a", "open 1 a as s0", "alarm link 5000"])
        client.connects(session: "s1", ["open n1 me"])
        #expect(client.session == "s1")
        client.ends(nil, ["waiting: connection lost", "alarm link 0...250"])
        client.rings(["connecting b", "open 2 b as s1", "alarm link 5000"])
        client.connects(session: "s2", resumed: true, ["open n1 me resumed"])
        #expect(client.session == "s2")
    }

    @Test("a node that takes the connection and then says nothing is given up")
    func silentFromTheStart() {
        var client = Script()
        client.start()
        client.rings(["drop", "waiting: the node does not answer", "alarm link 0...250"])
        client.rings(["connecting b", "open 2 b", "alarm link 5000"])
        client.hearsLate(Frames.connect(client: "me", session: "s", resumed: false))
    }

    @Test("silence for heartbeatMs asks for a pong, 3 s more end the socket; any frame is a sign of life")
    func heartbeat() {
        var client = Script()
        client.showsHeartbeat = true
        client.start()
        client.connects(["open n1 me", Script.heartbeat])
        client.rings(["> ping", "alarm link 3000"])
        client.hears(#"{"method":"ping","at":1}"#, [Script.heartbeat])
        client.rings(["> ping", "alarm link 3000"])
        client.rings(["drop", "waiting: the node is silent", "alarm link 0...250"])
        client.hears(#"{"method":"ping","at":1}"#, [])
        client.ends(nil, [])
    }

    @Test(
        "the codes that forbid to come back", arguments: [1002, 1003, 1007, 1008, 1009])
    func stops(code: Int) {
        var client = Script()
        client.start()
        client.connects()
        client.ends(code, ["silence link", "closed refused(code: \(code))"])
        client.rings([])
        client.joins("r", ["settle 1 not sent"])
    }

    @Test("4001: stop, and never use the token again")
    func takenOver() {
        var client = Script()
        client.start()
        client.connects()
        client.ends(4001, ["silence link", "closed takenOver"])
        #expect(client.session == nil)
    }

    @Test("4003 twice running is the end, with a success between it is not")
    func notAdmitted() {
        var client = Script()
        client.start()
        client.ends(4003, ["waiting: closed with 4003", "alarm link 0...250"])
        client.rings()
        client.connects()
        client.hears(#"{"method":"ping","at":1}"#, [])
        client.ends(4003, ["waiting: closed with 4003", "alarm link 0...500"])
        client.rings()
        client.ends(4003, ["silence link", "closed notAdmitted"])
    }

    @Test("1012: at once, spread over a third of the grace; 1013 and a goodbye: later; others by back-off")
    func waits() {
        var client = Script()
        client.start()
        client.connects()
        client.ends(1012, ["waiting: closed with 1012", "alarm link 0...5000"])
        client.rings(["connecting b", "open 2 b as s1", "alarm link 5000"])
        client.connects(session: "s1", resumed: true)
        client.ends(1013, ["waiting: closed with 1013", "alarm link 2000...2250"])
        client.rings()
        client.ends(1013, ["waiting: closed with 1013", "alarm link 2000...2500"])
        client.rings()
        client.ends(1001, ["waiting: closed with 1001", "alarm link 2000...3000"])
        client.rings()
        client.ends(1011, ["waiting: closed with 1011", "alarm link 0...2000"])
    }

    @Test("ten frames behind `connect` say that the node works: the next trouble is a new one")
    func backoffBeginsAnew() {
        var client = Script()
        client.start()
        client.ends(nil)
        client.rings()
        client.connects()
        client.ends(nil, ["waiting: connection lost", "alarm link 0...500"])
        client.rings()
        client.connects()
        for _ in 0..<9 { client.hears(#"{"method":"ping","at":1}"#, []) }
        client.ends(nil, ["waiting: connection lost", "alarm link 0...1000"])
        client.rings()
        client.connects()
        for _ in 0..<10 { client.hears(#"{"method":"ping","at":1}"#, []) }
        client.ends(nil, ["waiting: connection lost", "alarm link 0...250"])
    }

    @Test(
        "a frame that cannot be read ends the socket, not the client",
        arguments: ["", "[]", #"{"method":"update"}"#, "{"])
    func unreadable(frame: String) {
        var client = Script()
        client.start()
        client.connects()
        client.hears(
            frame,
            [
                "violation a frame that cannot be read: \(Self.reasons[frame] ?? "")", "drop",
                "waiting: the node sent what cannot be read", "alarm link 0...250",
            ])
    }

    private static let reasons = [
        "": "an object is expected, at byte 0", "[]": "an object is expected, at byte 0",
        #"{"method":"update"}"#: "a member is missing in `update`", "{": "a string is expected, at byte 1",
    ]

    @Test("close says goodbye, and answers everything that waits")
    func close() throws {
        var client = try Script.joined()
        client.says("one")
        client.creates("x", ["> create #2 x ifMissing:true"])
        client.closes([
            "finish", "silence link", "closed asked", "silence create", "settle 3 unknown", "settle 2 unknown",
            "silence r",
            "r ended clientClosed",
        ])
        client.ends(1000, [])
        client.says("two", ["settle 4 not in room"])
    }
}
