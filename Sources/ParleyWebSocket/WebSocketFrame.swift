public import NIOCore

/// Frames as a server sends them: one piece, not masked. The result is immutable bytes that may go to any
/// number of sockets, on any thread: encode once, send often.
public enum WebSocketFrame {
    /// `payload` must be valid UTF-8.
    public static func text(_ payload: ByteBuffer) -> ByteBuffer {
        frame(.text, payload.readableBytesView)
    }

    /// `payload` must be valid UTF-8.
    public static func text(_ payload: some Collection<UInt8>) -> ByteBuffer {
        frame(.text, payload)
    }

    public static func binary(_ payload: ByteBuffer) -> ByteBuffer {
        frame(.binary, payload.readableBytesView)
    }

    /// `payload` is cut off after 125 bytes.
    public static func ping(_ payload: ByteBuffer = ByteBuffer()) -> ByteBuffer {
        frame(.ping, payload.readableBytesView.prefix(FrameHeader.controlPayloadBytesMax))
    }

    /// `payload` is cut off after 125 bytes.
    public static func pong(_ payload: ByteBuffer) -> ByteBuffer {
        frame(.pong, payload.readableBytesView.prefix(FrameHeader.controlPayloadBytesMax))
    }

    /// `reason` is cut off after 123 bytes, at a character. A code that may not be sent becomes 1011.
    public static func close(_ close: CloseFrame) -> ByteBuffer {
        guard let code = close.code else { return frame(.close, EmptyCollection()) }
        var payload = ByteBuffer()
        payload.writeInteger((code.mayBeSent ? code : .internalError).rawValue)
        for character in close.reason {
            let length = payload.readableBytes + character.utf8.count
            guard length <= FrameHeader.controlPayloadBytesMax else { break }
            payload.writeString(String(character))
        }
        return frame(.close, payload.readableBytesView)
    }

    static func frame(_ opcode: WebSocketOpcode, _ payload: some Collection<UInt8>) -> ByteBuffer {
        let length = payload.count
        var frame = ByteBuffer()
        frame.reserveCapacity(headerBytesMax + length)
        writeHeader(opcode, length: length, to: &frame)
        frame.writeBytes(payload)
        return frame
    }

    static func header(_ opcode: WebSocketOpcode, length: Int) -> ByteBuffer {
        var header = ByteBuffer()
        header.reserveCapacity(headerBytesMax)
        writeHeader(opcode, length: length, to: &header)
        return header
    }

    private static let headerBytesMax = 10

    private static func writeHeader(_ opcode: WebSocketOpcode, length: Int, to buffer: inout ByteBuffer) {
        buffer.writeInteger(0x80 | opcode.rawValue)
        if length <= 125 {
            buffer.writeInteger(UInt8(length))
        } else if length <= 0xFFFF {
            buffer.writeInteger(126 as UInt8)
            buffer.writeInteger(UInt16(length))
        } else {
            buffer.writeInteger(127 as UInt8)
            buffer.writeInteger(UInt64(length))
        }
    }
}
