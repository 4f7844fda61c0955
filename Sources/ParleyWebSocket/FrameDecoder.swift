import NIOCore

/// Cuts the bytes of a client into frames, and the frames into what has arrived of them.
///
/// A frame is handed on in parts, because a long one must be judged before it is complete: its length when
/// the header is there, its text byte by byte. Nothing of a payload stays in here, so the memory is bounded
/// by what is appended between two rounds of `next()`.
struct FrameDecoder {
    /// As much of one frame as had arrived. A frame that arrived as a whole is one part.
    struct Part {
        let header: FrameHeader
        /// A slice of what was appended, still masked.
        let masked: ByteBuffer
        /// For the first byte of `masked`.
        let mask: MaskingKey
        let isFirst: Bool
        let isLast: Bool
    }

    private var unread = ByteBuffer()
    private var frame: FrameHeader?
    /// How many bytes of the payload of `frame` were handed on.
    private var passed = 0

    /// How much memory is held, not counting what was handed on.
    var unreadCapacity: Int { unread.storageCapacity }

    mutating func append(_ bytes: ByteBuffer) {
        guard unread.readableBytes > 0 else {
            unread = bytes
            return
        }
        // Without what was read, so that the next write copies only what is left. At most once for each read
        // buffer: a long row of appends grows one buffer, which stays linear.
        if unread.readerIndex > 0 { unread = unread.slice() }
        unread.writeImmutableBuffer(bytes)
    }

    /// The next part; nil when more bytes are needed. After a violation the stream has no frames any more:
    /// don't call again.
    mutating func next() throws(WebSocketViolation) -> Part? {
        let header: FrameHeader
        let isFirst: Bool
        if let frame {
            guard unread.readableBytes > 0 else { return nil }
            (header, isFirst) = (frame, false)
        } else {
            guard let read = try FrameHeader.read(from: &unread) else {
                letGoOfReadBuffer()
                return nil
            }
            (header, isFirst) = (read, true)
        }

        let count = min(header.length - passed, unread.readableBytes)
        // Cannot be nil: `count` bytes are readable.
        guard let masked = unread.readSlice(length: count) else { return nil }
        let mask = header.mask.advanced(by: passed)
        passed += count
        let isLast = passed == header.length
        frame = isLast ? nil : header
        if isLast { passed = 0 }
        if unread.readableBytes == 0 { unread = ByteBuffer() }
        return Part(header: header, masked: masked, mask: mask, isFirst: isFirst, isLast: isLast)
    }

    /// Part of a header may wait for the rest for long. It must not keep the channel's whole read buffer
    /// alive.
    private mutating func letGoOfReadBuffer() {
        guard unread.readableBytes > 0 else { return }
        unread = ByteBuffer(bytes: unread.readableBytesView)
    }
}
