import NIOCore

/// What a client said: a complete message or control frame, unmasked.
enum WebSocketMessage: Equatable {
    /// Valid UTF-8.
    case text(ByteBuffer)
    case binary(ByteBuffer)
    case ping(ByteBuffer)
    case pong
    case close(CloseFrame)
}

/// Puts the parts of frames together to messages, and judges each part as it comes: the order of the frames,
/// the size of the message, its text.
struct MessageAssembler {
    private enum Kind { case text, binary }

    private let messageBytesMax: Int
    private let acceptsBinary: Bool

    /// The message that has begun and not ended.
    private var kind: Kind?
    private var message = ByteBuffer()
    private var utf8 = UTF8Validator()
    /// What has arrived of a control frame.
    private var control = ByteBuffer()

    init(messageBytesMax: Int, acceptsBinary: Bool) {
        self.messageBytesMax = messageBytesMax
        self.acceptsBinary = acceptsBinary
    }

    /// Takes the parts in the order in which they came. After a violation nothing may be added.
    mutating func add(_ part: FrameDecoder.Part) throws(WebSocketViolation) -> WebSocketMessage? {
        switch part.header.opcode {
        case .text:
            if part.isFirst { try begin(.text, part.header) }
            return try addData(part)
        case .binary:
            if part.isFirst {
                guard acceptsBinary else { throw .binaryRefused }
                try begin(.binary, part.header)
            }
            return try addData(part)
        case .continuation:
            if part.isFirst { try resume(part.header) }
            return try addData(part)
        case .close, .ping, .pong:
            return try addControl(part)
        }
    }

    private mutating func begin(_ kind: Kind, _ header: FrameHeader) throws(WebSocketViolation) {
        guard self.kind == nil else { throw .framing("message begins within a message") }
        guard header.length <= messageBytesMax else { throw .messageTooBig }
        self.kind = kind
    }

    private func resume(_ header: FrameHeader) throws(WebSocketViolation) {
        guard kind != nil else { throw .framing("continuation without a beginning") }
        // A difference, because a sum could overflow: a length may be anything up to Int.max.
        guard header.length <= messageBytesMax - message.readableBytes else { throw .messageTooBig }
    }

    private mutating func addData(_ part: FrameDecoder.Part) throws(WebSocketViolation) -> WebSocketMessage? {
        guard let kind else { return nil }
        MessageAssembler.append(part, to: &message)
        switch kind {
        case .text:
            let count = part.masked.readableBytes
            // The pointer does not leave the closure; `message` ends with the `count` bytes that were just
            // appended.
            let isValid = message.withUnsafeReadableBytes { bytes in
                utf8.add(UnsafeRawBufferPointer(rebasing: bytes[(bytes.count - count)...]))
            }
            guard isValid else { throw .notUTF8 }
        case .binary: break
        }

        guard part.isLast, part.header.isFinal else { return nil }
        guard utf8.isComplete else { throw .notUTF8 }
        let complete = message
        message = ByteBuffer()
        self.kind = nil
        switch kind {
        case .text: return .text(complete)
        case .binary: return .binary(complete)
        }
    }

    private mutating func addControl(_ part: FrameDecoder.Part) throws(WebSocketViolation) -> WebSocketMessage? {
        MessageAssembler.append(part, to: &control)
        guard part.isLast else { return nil }
        let payload = control
        control = ByteBuffer()
        switch part.header.opcode {
        case .ping: return .ping(payload)
        case .close: return .close(try CloseFrame(payload: payload))
        case .pong, .continuation, .text, .binary: return .pong
        }
    }

    /// Unmasks in the memory of the message. The one copy out of the channel's read buffer, which the channel
    /// fills again, cannot be spared: for a first part, unmasking the shared slice makes it, of these bytes
    /// only.
    private static func append(_ part: FrameDecoder.Part, to buffer: inout ByteBuffer) {
        let count = part.masked.readableBytes
        // An empty slice would only keep the read buffer alive.
        guard count > 0 else { return }
        if buffer.readableBytes == 0 {
            buffer = part.masked
        } else {
            buffer.writeImmutableBuffer(part.masked)
        }
        buffer.unmask(last: count, with: part.mask)
    }
}
