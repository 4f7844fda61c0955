import NIOCore
import Testing

@testable import ParleyWebSocket

struct WebSocketFrameTests {
    private func bytes(_ buffer: ByteBuffer) -> [UInt8] { Array(buffer.readableBytesView) }

    @Test(
        "the length is in its shortest form",
        arguments: [
            (0, [0x81, 0]), (125, [0x81, 125]), (126, [0x81, 126, 0, 126]), (65535, [0x81, 126, 0xFF, 0xFF]),
            (65536, [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] as [(Int, [UInt8])])
    func lengths(length: Int, header: [UInt8]) {
        let payload = [UInt8](repeating: 0x61, count: length)
        #expect(bytes(WebSocketFrame.text(payload)) == header + payload)
        #expect(bytes(WebSocketFrame.text(ByteBuffer(bytes: payload))) == header + payload)
        #expect(bytes(WebSocketFrame.header(.text, length: length)) == header)
    }

    @Test("each kind has its opcode")
    func kinds() {
        let payload = ByteBuffer(bytes: [1, 2])
        #expect(bytes(WebSocketFrame.binary(payload)) == [0x82, 2, 1, 2])
        #expect(bytes(WebSocketFrame.ping(payload)) == [0x89, 2, 1, 2])
        #expect(bytes(WebSocketFrame.ping()) == [0x89, 0])
        #expect(bytes(WebSocketFrame.pong(payload)) == [0x8A, 2, 1, 2])
    }

    @Test("a close frame without a code is empty, one with a forbidden code says 1011")
    func close() {
        #expect(bytes(WebSocketFrame.close(CloseFrame(code: nil))) == [0x88, 0])
        #expect(bytes(WebSocketFrame.close(CloseFrame(code: .normal, reason: "ok"))) == [0x88, 4, 3, 0xE8, 0x6F, 0x6B])
        let forbidden = CloseFrame(code: WebSocketCloseCode(rawValue: 1006))
        #expect(bytes(WebSocketFrame.close(forbidden)) == [0x88, 2, 3, 0xF3])
    }

    @Test("a long reason is cut at a character")
    func reason() {
        let frame = WebSocketFrame.close(CloseFrame(code: .normal, reason: String(repeating: "€", count: 60)))
        #expect(bytes(frame).count == 2 + 2 + 123)
        let odd = WebSocketFrame.close(CloseFrame(code: .normal, reason: "a" + String(repeating: "€", count: 60)))
        #expect(bytes(odd).count == 2 + 2 + 121)
        #expect(String(validating: bytes(odd)[4...], as: UTF8.self) != nil)
    }

    @Test("control payloads are cut to 125 bytes")
    func control() {
        #expect(WebSocketFrame.ping(ByteBuffer(repeating: 1, count: 200)).readableBytes == 127)
    }
}
