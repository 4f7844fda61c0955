import NIOCore
import ParleyCore
import ParleyWire
import Testing

@Suite("Frames of clients")
struct ClientFrameTests {
    @Test("the fixtures can be read, and their names are unique")
    func fixtures() {
        #expect(FrameFixtures.isComplete)
        #expect(FrameFixtures.clientID != nil)
        #expect(Set(FrameFixtures.all.map(\.name)).count == FrameFixtures.all.count)
    }

    @Test("a client's frame is read, or refused, as its fixture says", arguments: FrameFixtures.of(.client))
    func client(_ fixture: FrameFixture) {
        switch ClientFrame.read(fixture.frame.utf8) {
        case .success(let frame):
            #expect(frame.reading == fixture.reads)
        case .failure(let rejection):
            #expect(rejection.error.code.rawValue == fixture.error, "\(rejection.error.reason)")
            #expect(rejection.id == fixture.id)
            #expect(rejection.roomID == fixture.roomId)
            #expect(rejection.settlesID == fixture.settles)
            #expect(rejection.error.retryMs == nil)
            #expect(!rejection.error.reason.isEmpty)
        }
    }

    @Test(
        "a payload of the largest size passes, one byte more is too large",
        arguments: [
            ("message", "message", 32_768, true), ("signal", "signal", 4_096, false), ("join", "profile", 4_096, false),
            ("create", "meta", 8_192, false), ("set", "set", 65_536, true),
        ])
    func sizes(method: String, member: String, bytesMax: Int, settles: Bool) {
        // No frame could hold the values of a room whole, but the limits can be set otherwise.
        func frame(_ bytes: Int) -> String {
            let payload = "{\"a\":\"\(String(repeating: "x", count: bytes - 8))\"}"
            return "{\"method\":\"\(method)\",\"id\":3,\"roomId\":\"r\",\"\(member)\": \(payload) }"
        }
        #expect(throws: Never.self) { try ClientFrame.read(frame(bytesMax).utf8).get() }
        #expect(throws: FrameRejection.self) { try ClientFrame.read(frame(bytesMax + 1).utf8).get() }
        guard case .failure(let rejection) = ClientFrame.read(frame(bytesMax + 1).utf8) else { return }
        #expect(rejection.error.code == .tooLarge)
        #expect(rejection.id == 3)
        #expect(rejection.settlesID == settles)
    }

    @Test("white space around a payload counts for nothing")
    func spaceAround() throws {
        var limits = Limits()
        limits.messageBytes = 3
        let space = String(repeating: " \n", count: 100)
        let text = "{\"method\":\"message\",\"roomId\":\"r\",\"message\":\(space)[1]\(space)}"
        let frame = try ClientFrame.read(text.utf8, limits: limits).get()
        #expect(frame.request.payload == Array("[1]".utf8))
    }

    @Test(
        "what is longest in a frame is read in one go: deep, wide, many names",
        arguments: [
            "{\"method\":\"ping\",\"x\":" + String(repeating: "[", count: 30_000)
                + String(repeating: "]", count: 30_000) + "}",
            "{\"method\":\"ping\",\"x\":" + String(repeating: "{\"\":", count: 12_000) + "1"
                + String(repeating: "}", count: 12_000) + "}",
            "{\"method\":\"ping\"" + (0..<6_000).map { ",\"\($0)\":0" }.joined() + "}",
            "{\"method\":\"ping\",\"\(String(repeating: "\\ud800", count: 10_000))\":\"\(String(repeating: "\\n", count: 1_000))\"}",
        ])
    func long(text: String) throws {
        #expect(try ClientFrame.read(text.utf8).get().request == .ping)
    }

    @Test("brackets are told apart at every depth", arguments: [1, 63, 64, 65, 127, 128, 129, 192, 193, 1_000])
    func bracketsAtDepth(depth: Int) {
        let kinds = (0..<depth).map { ($0 * $0 + $0 / 3) % 2 == 0 }
        let open = kinds.map { $0 ? "{\"\":" : "[" }
        let close = kinds.reversed().map { $0 ? "}" : "]" }
        func frame(_ close: [String]) -> String {
            "{\"method\":\"ping\",\"x\":" + open.joined() + "0" + close.joined() + "}"
        }
        #expect(throws: Never.self) { try ClientFrame.read(frame(close).utf8).get() }
        for wrong in Set([0, depth / 2, depth - 1, min(63, depth - 1), min(64, depth - 1)]) {
            var swapped = close
            swapped[wrong] = swapped[wrong] == "}" ? "]" : "}"
            #expect(throws: FrameRejection.self, "\(wrong)") { try ClientFrame.read(frame(swapped).utf8).get() }
        }
    }

    @Test(
        "what an error says to a person stays short, whatever the client wrote",
        arguments: [
            "{\"method\":\"\(String(repeating: "x", count: 60_000))\"}",
            "{\"method\":\"a\(String(repeating: "\u{301}", count: 30_000))\"}",
            "{\"\(String(repeating: "x", count: 30_000))\":1,\"\(String(repeating: "x", count: 30_000))\":1}",
            "{\"method\":\"set\",\"roomId\":\"r\",\"set\":{\"\(String(repeating: "x", count: 30_000))\":1,"
                + "\"\(String(repeating: "x", count: 30_000))\":1}}",
        ])
    func shortReasons(text: String) throws {
        guard case .failure(let rejection) = ClientFrame.read(text.utf8) else {
            Issue.record("was read")
            return
        }
        #expect(rejection.error.reason.utf8.count < 1_024)
    }

    @Test("a buffer is read from its reader index on")
    func slice() throws {
        var buffer = ByteBuffer(string: "xx{\"method\":\"ping\"}yy")
        buffer.moveReaderIndex(forwardBy: 2)
        buffer.moveWriterIndex(to: buffer.writerIndex - 2)
        let clientID = try #require(FrameFixtures.clientID)
        #expect(try ClientFrame.parse(buffer, clientID: clientID, limits: Limits()).request == .ping)
    }
}

extension ClientRequest {
    /// The bytes that must be kept as they were sent.
    var payload: [UInt8]? {
        switch self {
        case .message(_, let payload), .signal(_, _, let payload): payload
        case .set(let set): set.object
        case .create(let create): create.meta
        case .join(let join): join.profile
        case .history, .members, .leave, .ping: nil
        }
    }
}
