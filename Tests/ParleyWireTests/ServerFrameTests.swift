import NIOCore
import ParleyCore
import ParleyWire
import Testing

@Suite("Frames of a node")
struct ServerFrameTests {
    @Test("a node's frame has the text of its fixture", arguments: FrameFixtures.of(.server))
    func server(_ fixture: FrameFixture) throws {
        let frame = try ServerFrameFixtures().frames[fixture.name]
        if fixture.later == true {
            #expect(frame == nil, "it is sent already: the fixture need not say `later`")
        } else {
            #expect(frame.map { String(buffer: $0) } == fixture.frame)
        }
        #expect(throws: Never.self) { try JSONValue(fixture.frame.utf8) }
    }

    @Test("every frame that a node can build has a fixture")
    func complete() throws {
        let names = Set(FrameFixtures.of(.server).map(\.name))
        for name in try ServerFrameFixtures().frames.keys { #expect(names.contains(name), "\(name)") }
    }

    /// What breaks a writer that forgets an escape, or that takes the end of a text for punctuation of its own.
    private static let hostile = [
        "", "\"", "\\", "\\\"", "a\"}", "{", "[", ":", ",", "\0", "\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f} ", "\u{7f}\u{80}",
        "\u{2028}\u{2029}", "é e\u{301}", "😀", "\u{10ffff}", "</script>", "\\u0000",
    ]

    @Test("text of any kind comes out as it went in", arguments: hostile)
    func hostileText(_ text: String) throws {
        let ann = try #require(FrameFixtures.clientID)
        let room = try #require(RoomID("r"))
        let member = Member(clientID: ann, userID: text, profile: Array("{}".utf8))
        let entry = JSONValue.object([
            "clientId": .string(ann.text), "userId": .string(text), "profile": .object([:]),
        ])
        let connect = try read(
            ServerFrame.connect(
                clientID: ann, session: text, isResumed: false, node: text, heartbeatMs: 1, graceMs: 2, sessionMs: 3,
                rooms: [], limits: Limits()))
        #expect(connect["session"] == .string(text))
        #expect(connect["node"] == .string(text))
        #expect(connect["limits"]?["recent"] == .integer(1_000), "what comes after the text is read too")

        let error = try read(ServerFrame.error(RequestError(.unavailable, text), id: 1, roomID: text))
        let expected: JSONValue = .object([
            "method": .string("error"), "id": .integer(1), "code": .string("unavailable"), "reason": .string(text),
            "temporary": .bool(true), "roomId": .string(text), "retryMs": .integer(250),
        ])
        #expect(error == expected)

        let members = try read(
            ServerFrame.membersReply(id: nil, roomID: room, count: 2, clients: [member, member], more: false))
        #expect(members["clients"] == .array([entry, entry]))
        let joined = try read(ServerFrame.presenceJoined(roomID: room, count: 1, joined: [member], clients: [member]))
        #expect(joined["joined"] == .array([entry]))
        #expect(joined["clients"] == .array([entry]))

        let change = encodedChange(clientID: ann, userID: text, id: 1, at: 2, .message(Array("[]".utf8)))
        let wanted: JSONValue = .object([
            "clientId": .string(ann.text), "id": .integer(1), "userId": .string(text), "at": .integer(2),
            "message": .array([]),
        ])
        #expect(try JSONValue(change) == wanted)
        #expect(ChangeHead(change)?.id == 1)
    }

    @Test(
        "a change says who sent it, and under which id, where the head of a change is looked for",
        arguments: [
            nil, 1, 9_007_199_254_740_991,
        ] as [Int64?])
    func changeHead(id: Int64?) throws {
        let ann = try #require(FrameFixtures.clientID)
        let change = encodedChange(clientID: ann, userID: "u", id: id, at: 0, .message(Array("{\"id\":7}".utf8)))
        let head = try #require(ChangeHead(change))
        #expect(head.clientID == ann)
        #expect(head.id == id)
    }

    @Test("every number that a node may have to say is written in full")
    func numbers() throws {
        for number in [0, 1, -1, Int64.max, Int64.min] {
            #expect(try read(ServerFrame.ping(id: nil, at: number))["at"] == .integer(number))
        }
    }

    @Test(
        "a payload that a client sent reaches others byte by byte",
        arguments: [
            "null", "-0", "1E+2", "\"\\u00e9\\/\"", "[ 1 ,\t2 ]", "{\"a\":1,\"a\":2}", "\"{\\\"[:,\"", "\"é\u{2028}\"",
        ])
    func verbatim(payload: String) throws {
        let text = "{\"method\":\"message\",\"roomId\":\"r\",\"message\": \(payload)\n}"
        let request = try ClientFrame.read(text.utf8).get().request
        let kept = try #require(request.payload)
        let ann = try #require(FrameFixtures.clientID)
        let room = try #require(RoomID("r"))
        let body = encodedChange(clientID: ann, userID: nil, id: nil, at: 0, .message(kept))
        let frame = ServerFrame.update(
            roomID: room, runs: [Run(from: 1, to: 1, tag: 0, body: body)], position: Position(seq: 1, tag: 0))
        #expect(String(buffer: frame).hasSuffix("\"message\":\(payload)}]}}"))
        #expect(throws: Never.self) { try read(frame) }
    }

    private func read(_ frame: ByteBuffer) throws -> JSONValue { try JSONValue(frame.readableBytesView) }
}
