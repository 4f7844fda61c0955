import NIOCore

/// The header of a frame from a client, RFC 6455 section 5.2, checked for everything that can be told without
/// knowing the frames before it.
struct FrameHeader: Hashable, Sendable {
    static let bytesMax = 14
    static let controlPayloadBytesMax = 125

    var isFinal: Bool
    var opcode: WebSocketOpcode
    /// The length of the payload in bytes.
    var length: Int
    var mask: MaskingKey

    /// Takes a header from the front of `buffer`. Nil, and nothing taken, if it is not all there; but a
    /// violation is thrown as soon as the bytes that are there prove it.
    static func read(from buffer: inout ByteBuffer) throws(WebSocketViolation) -> FrameHeader? {
        let start = buffer.readerIndex
        guard let first: UInt8 = buffer.getInteger(at: start) else { return nil }
        // An extension that uses RSV1 (permessage-deflate does, on the first frame of a message) is decided
        // here.
        guard first & 0x70 == 0 else { throw .framing("reserved bits are set") }
        guard let opcode = WebSocketOpcode(rawValue: first & 0x0F) else { throw .framing("unknown opcode") }
        let isFinal = first & 0x80 != 0
        guard isFinal || !opcode.isControl else { throw .framing("control frame is fragmented") }

        guard let second: UInt8 = buffer.getInteger(at: start + 1) else { return nil }
        guard second & 0x80 != 0 else { throw .framing("frame is not masked") }
        let short = Int(second & 0x7F)
        guard short <= controlPayloadBytesMax || !opcode.isControl else {
            throw .framing("control frame is longer than 125 bytes")
        }

        let length: Int
        let maskIndex: Int
        switch short {
        case 127:
            guard let long: UInt64 = buffer.getInteger(at: start + 2) else { return nil }
            guard let exact = Int(exactly: long) else { throw .framing("length has its top bit set") }
            guard exact > 0xFFFF else { throw .framing("length is not encoded in its shortest form") }
            (length, maskIndex) = (exact, start + 10)
        case 126:
            guard let medium: UInt16 = buffer.getInteger(at: start + 2) else { return nil }
            guard medium > 125 else { throw .framing("length is not encoded in its shortest form") }
            (length, maskIndex) = (Int(medium), start + 4)
        default:
            (length, maskIndex) = (short, start + 2)
        }
        guard let key: UInt32 = buffer.getInteger(at: maskIndex) else { return nil }
        buffer.moveReaderIndex(to: maskIndex + 4)
        return FrameHeader(
            isFinal: isFinal, opcode: opcode, length: length, mask: MaskingKey(networkOrder: key))
    }
}
