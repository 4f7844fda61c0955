import ParleyClient
import Testing

/// Rooms: in again on every socket, each change once.
@Suite("A client's rooms")
struct RoomTests {
    @Test("create names the room, is sent again on the next socket, and after a temporary error when the node says")
    func create() {
        var client = Script()
        client.start()
        client.creates("x", [])
        client.connects(["open n1 me", "> create #1 x ifMissing:true"])
        client.reconnects(["open n1 me resumed", "> create #1 x ifMissing:true"])
        client.hears(Frames.error("unavailable", request: 1, retryMs: 250), ["alarm create 250"])
        client.createRings(["> create #1 x ifMissing:true"])
        client.hears(
            #"{"method":"create","id":4503599627370496,"roomId":"x","created":true}"#, ["settle 1 created true"])
        client.reconnects(["open n1 me resumed"])
    }

    @Test("join says what is wanted, once there is a socket")
    func join() {
        var client = Script()
        client.start()
        client.joins("r", [], wish: JoinWish(profile: #"{"name":"Ann"}"#, recent: 7, presence: false))
        client.joins("r", ["settle 2 in room already"])
        client.connects(["open n1 me", "silence r", "> join #1 r profile:{name:Ann} recent:7 presence:false"])
        client.hears(Frames.joinReply(lastID: 0, from: 3, to: 9), ["settle 1 joined", "r joined 3...9"])
        client.hears(Frames.update(10, 12), ["r 10 11 12"])
    }

    @Test("on the next socket the room is joined after the last position, and what is known already is dropped")
    func resume() throws {
        var client = try Script.joined()
        client.hears(Frames.update(5, 10), ["r 5 6 7 8 9 10"])
        client.reconnects(["open n1 me resumed", "silence r", "> join #2 r after:10-a"])
        client.hears(Frames.joinReply(request: 2, lastID: 0, from: 11, to: 12), ["r 11 12"])
        client.hears(Frames.update(13, 13), ["r 13"])
        client.reconnects(["open n1 me resumed", "silence r", "> join #3 r after:13-d"])
        client.hears(Frames.joinReply(request: 3, lastID: 0, from: 14, to: 13), [])
    }

    @Test("a hole is noticed, and filled by joining again after what is known")
    func hole() throws {
        var client = try Script.joined()
        client.hears(
            Frames.update(7, 8),
            ["violation r: an update from 7 behind 4", "silence r", "> join #2 r after:4-4"])
        client.hears(Frames.update(9, 9), [])
        client.hears(Frames.joinReply(request: 2, lastID: 0, from: 5, to: 9), ["r 5 6 7 8 9"])
        client.hears(Frames.update(10, 10), ["r 10"])
    }

    @Test("what comes twice is reported once")
    func repeated() throws {
        var client = try Script.joined()
        client.hears(Frames.update(4, 6), ["violation r: an update from 4 behind 4", "r 5 6"])
        client.hears(Frames.update(5, 6), ["violation r: an update from 5 behind 6"])
    }

    @Test("a reset replaces, in a reply and unasked, and goes on from there")
    func reset() throws {
        var client = try Script.joined()
        client.hears(Frames.copy(from: 95, to: 100), ["r reset 95...100"])
        client.hears(Frames.update(101, 101), ["r 101"])
        client.reconnects(["open n1 me resumed", "silence r", "> join #2 r after:101-65"])
        client.hears(
            Frames.joinReply(request: 2, lastID: 0, from: 2, to: 3, reset: true, diverged: true), ["r diverged 2...3"])
        client.hears(Frames.update(4, 4), ["r 4"])
    }

    @Test("a join that is refused for now is repeated when the node says; for good, it ends the room")
    func refused() throws {
        var client = try Script.joined()
        client.reconnects(["open n1 me resumed", "silence r", "> join #2 r after:4-4"])
        client.hears(Frames.error("unavailable", request: 2, retryMs: 300), ["alarm r 300"])
        client.roomRings(["silence r", "> join #3 r after:4-4"])
        client.hears(
            Frames.error("room_not_found", request: 3),
            ["silence r", #"r ended refused(code: "room_not_found", reason: "because")"#])
        client.reconnects(["open n1 me resumed"])
        client.joins("r", ["silence r", "> join #4 r recent:50"])
        client.hears(
            Frames.error("forbidden", request: 4),
            ["settle 2 forbidden", "silence r", #"r ended refused(code: "forbidden", reason: "because")"#])
    }

    @Test("a reader that cannot take more: what comes is fetched when it can")
    func pause() throws {
        var client = try Script.joined()
        client.pauses(true, [])
        client.hears(Frames.update(5, 6), [])
        client.hears(Frames.update(7, 8), [])
        client.pauses(false, ["silence r", "> join #2 r after:4-4"])
        client.hears(Frames.joinReply(request: 2, lastID: 0, from: 5, to: 8), ["r 5 6 7 8"])
        client.pauses(true, [])
        client.pauses(false, [])
    }

    @Test("members that come and go are reported")
    func presence() throws {
        var client = try Script.joined()
        client.hears(
            #"{"method":"join","roomId":"r","count":3,"joined":[{"clientId":"b","profile":{"clientId":1}}]}"#,
            ["r + b (3)"])
        client.hears(#"{"method":"leave","roomId":"r","left":["b"],"count":2}"#, ["r - b (2)"])
    }

    @Test("who is there is reported with each join, and with news, while the room is small")
    func roster() throws {
        var client = try Script.joined()
        client.hears(
            #"{"method":"leave","roomId":"r","left":["b"],"count":1,"clients":[{"clientId":"me"}]}"#,
            ["r - b = me (1)"])
        client.reconnects(["open n1 me resumed", "silence r", "> join #2 r after:4-4"])
        client.hears(
            Frames.joinReply(request: 2, lastID: 0, from: 5, to: 5, clients: ["c", "me"]), ["r 5", "r = c me (2)"])
    }

    @Test("leave: what was sent before is answered by then, and nothing is joined again")
    func leave() throws {
        var client = try Script.joined()
        client.says("one", ["> message id:1 r message:one"])
        client.leaves(["silence r", "> leave #2 r"])
        client.says("two", ["settle 4 not in room"])
        client.hears(
            Frames.leave(request: 2, reason: "left", lastID: 1),
            ["settle 2 somewhere", "silence r", "settle 3 left", "r ended left"])
        client.reconnects(["open n1 me resumed"])
    }

    @Test("leave, and the socket is lost: it is left after its grace")
    func leaveCutOff() throws {
        var client = try Script.joined()
        client.leaves()
        client.ends(
            nil,
            [
                "waiting: connection lost", "alarm link 0...250", "silence r", "silence r", "settle 2 left",
                "r ended left",
            ])
        client.rings()
        client.connects(session: "s2", resumed: true, ["open n1 me resumed"])
    }

    @Test("removed, or the room is closed: above lastId nothing will be applied")
    func removed() throws {
        var client = try Script.joined()
        client.says("one")
        client.says("two")
        client.hears(
            Frames.leave(reason: "closed", lastID: 1),
            ["settle 2 somewhere", "settle 3 not sent", "silence r", "r ended closed"])
    }
}
