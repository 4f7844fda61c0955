import NIOCore
import Testing

@testable import ParleyWebSocket

private func text(_ text: String) -> WebSocketMessage { .text(ByteBuffer(string: text)) }

struct FramingTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let bytes: [UInt8]
        let code: WebSocketCloseCode
        init(_ name: String, _ bytes: [UInt8], _ code: WebSocketCloseCode) {
            (testDescription, self.bytes, self.code) = (name, bytes, code)
        }
    }

    static let violations: [Case] =
        (1...7).map { Case("reserved bits \($0)", clientFrame(1, [], reserved: $0), .protocolError) }
        + [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map {
            Case("reserved opcode \($0)", clientFrame($0, []), .protocolError)
        }
        + [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535].map { (code: UInt16) in
            Case("close code \(code)", clientClose(code), .protocolError)
        }
        + [
            Case("a frame that is not masked", clientFrame(1, [0x61], key: nil), .protocolError),
            Case("a fragmented ping", clientFrame(9, [], isFinal: false), .protocolError),
            Case("a fragmented close", clientFrame(8, [], isFinal: false), .protocolError),
            Case("a ping of 126 bytes", clientFrame(9, [UInt8](repeating: 0, count: 126)), .protocolError),
            Case(
                "a length of 125 in 16 bits",
                clientFrame(1, [UInt8](repeating: 0x61, count: 125), lengthForm: .in16Bits), .protocolError),
            Case(
                "a length of 65535 in 64 bits",
                clientFrame(1, [UInt8](repeating: 0x61, count: 65535), lengthForm: .in64Bits), .protocolError),
            Case("a length with its top bit set", clientHeader(2, promising: 1 << 63), .protocolError),
            Case("a continuation without a start", clientFrame(0, [0x61]), .protocolError),
            Case("a start within a message", clientText("a", isFinal: false) + clientText("b"), .protocolError),
            Case("a close payload of one byte", clientFrame(8, [3]), .protocolError),
            Case("a close reason that is not UTF-8", clientClose(1000, [0xCE, 0xBA, 0xF4, 0x90]), .invalidPayload),
            Case("an unfinished character in a close reason", clientClose(1000, [0xE2, 0x82]), .invalidPayload),
            Case("text that is not UTF-8", clientFrame(1, [0xED, 0xA0, 0x80]), .invalidPayload),
            Case("text that ends within a character", clientFrame(1, [0xE2, 0x82]), .invalidPayload),
            Case(
                "a bad byte in a later fragment",
                clientFrame(1, [0xF4], isFinal: false) + clientFrame(0, [0x90], isFinal: false), .invalidPayload),
            Case("a header that promises too much", clientHeader(2, promising: 1 << 20 + 1), .messageTooBig),
            Case("a header that promises Int.max", clientHeader(2, promising: 1 << 63 - 1), .messageTooBig),
            Case(
                "a fragment that makes the sum too big",
                clientText("a", isFinal: false) + clientHeader(0, promising: 1 << 20), .messageTooBig),
            Case(
                "a fragment of Int.max after another",
                clientText("a", isFinal: false) + clientHeader(0, promising: 1 << 63 - 1), .messageTooBig),
        ]

    @Test("a violation closes with its code, and what came before it is delivered", arguments: violations)
    func violation(of rule: Case) {
        let before = clientText("before")
        for size in [Int.max / 2, 3, 1] {
            let outcome = outcome(of: (before + rule.bytes).split(by: min(size, 1 << 20)))
            #expect(outcome.violation?.code == rule.code, "in pieces of \(size)")
            #expect(outcome.messages == [text("before")])
        }
    }

    @Test("a violation's reason fits a close frame", arguments: violations)
    func reason(of rule: Case) throws {
        let violation = try #require(outcome(of: [rule.bytes]).violation)
        #expect((1...123).contains(violation.reason.utf8.count))
    }

    @Test("each violation of a header is seen at the first byte that proves it")
    func headerFailsFast() {
        #expect(outcome(of: [[0xC1]]).violation?.code == .protocolError)
        #expect(outcome(of: [[0x83]]).violation?.code == .protocolError)
        #expect(outcome(of: [[0x09]]).violation?.code == .protocolError)
        #expect(outcome(of: [[0x81, 0x05]]).violation?.code == .protocolError)
        #expect(outcome(of: [[0x89, 0xFE]]).violation?.code == .protocolError)
        #expect(outcome(of: [[0x81, 0xFE, 0, 125]]).violation?.code == .protocolError)
    }

    @Test("bad text is seen while its frame is incomplete, not before the bad byte")
    func textFailsFast() {
        let frame = clientFrame(1, Array("κόσμε".utf8) + [0xF4, 0x90, 0x80, 0x80] + Array("edited".utf8))
        let bad = 6 + Array("κόσμε".utf8).count + 1
        #expect(outcome(of: [Array(frame[..<bad])]) == Outcome())
        #expect(outcome(of: [Array(frame[...bad])]).violation == .notUTF8)
        #expect(outcome(of: Array(frame[...bad]).split(by: 1)).violation == .notUTF8)
    }

    @Test("a refused binary message is seen by its header")
    func binaryRefused() {
        #expect(outcome(of: [clientHeader(2, promising: 70_000)], acceptsBinary: false).violation == .binaryRefused)
        #expect(outcome(of: [clientFrame(2, [1])]).messages == [.binary(ByteBuffer(bytes: [1]))])
    }

    @Test(
        "close codes that may be sent are accepted",
        arguments: [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])
    func closeCodes(code: UInt16) {
        let frame = CloseFrame(code: WebSocketCloseCode(rawValue: code), reason: "ö")
        #expect(outcome(of: [clientClose(code, Array("ö".utf8))]) == Outcome(messages: [.close(frame)]))
    }

    @Test("a close frame may be empty, and full")
    func closeSizes() {
        #expect(outcome(of: [clientClose(nil)]).messages == [.close(CloseFrame(code: nil))])
        let reason = String(repeating: "x", count: 123)
        #expect(
            outcome(of: [clientClose(1000, Array(reason.utf8))]).messages
                == [.close(CloseFrame(code: .normal, reason: reason))])
    }

    @Test(
        "messages at the borders of the length forms arrive whole and in pieces",
        arguments: [0, 1, 125, 126, 127, 65535, 65536, 100_000])
    func lengths(length: Int) {
        let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let expected = Outcome(messages: [.binary(ByteBuffer(bytes: payload))])
        let frame = clientFrame(2, payload)
        #expect(outcome(of: [frame]) == expected)
        #expect(outcome(of: frame.split(by: 1)) == expected)
        #expect(outcome(of: frame.split(by: 4093)) == expected)
    }

    @Test("control frames between fragments come at their place")
    func interleaved() {
        let bytes =
            clientFrame(1, [0xE2], isFinal: false) + clientFrame(9, [1]) + clientFrame(0, [], isFinal: false)
            + clientFrame(0, [0x82], isFinal: false) + clientFrame(10, [2]) + clientFrame(0, [0xAC])
        let expected = Outcome(messages: [.ping(ByteBuffer(bytes: [1])), .pong, text("€")])
        #expect(outcome(of: [bytes]) == expected)
        #expect(outcome(of: bytes.split(by: 1)) == expected)
    }

    @Test("a message of exactly the bound is delivered, in one frame and in fragments")
    func bound() {
        let half = [UInt8](repeating: 0x61, count: 50)
        let whole = Outcome(messages: [.text(ByteBuffer(bytes: half + half))])
        #expect(outcome(of: [clientFrame(1, half + half)], messageBytesMax: 100) == whole)
        let fragments = clientFrame(1, half, isFinal: false) + clientFrame(0, half)
        #expect(outcome(of: [fragments], messageBytesMax: 100) == whole)
        #expect(outcome(of: [fragments], messageBytesMax: 99).violation == .messageTooBig)
    }

    @Test("a message keeps no read buffer alive, nor does a header that is cut off")
    func memory() throws {
        var read = ByteBuffer()
        read.reserveCapacity(65536)
        read.writeBytes(clientText("short") + [0x81])
        var decoder = FrameDecoder()
        var assembler = MessageAssembler(messageBytesMax: 100, acceptsBinary: true)
        decoder.append(read)
        let part = try #require(try decoder.next())
        guard case .text(let text) = try assembler.add(part) else {
            Issue.record("no text")
            return
        }
        #expect(text.storageCapacity < 64)
        #expect(try decoder.next() == nil)
        #expect(decoder.unreadCapacity < 64)
    }
}
