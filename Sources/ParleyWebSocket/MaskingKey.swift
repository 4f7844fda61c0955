import NIOCore

/// The four bytes with which a client masks the payload of one frame, RFC 6455 section 5.3.
struct MaskingKey: Hashable, Sendable {
    /// As the bytes lie in the frame, so that XOR of whole words in memory order works on any machine.
    private var word: UInt32

    /// The key as it is read from the frame in network byte order.
    init(networkOrder key: UInt32) {
        word = key.bigEndian
    }

    /// The key for the bytes that follow `count` bytes that were masked with this one.
    func advanced(by count: Int) -> MaskingKey {
        let bits = UInt32(count & 3) * 8
        guard bits != 0 else { return self }
        var advanced = self
        // Byte `count` must come first in memory, whichever end of a word comes first.
        let first = UInt32(littleEndian: word)
        advanced.word = ((first >> bits) | (first << (32 - bits))).littleEndian
        return advanced
    }

    /// Unmasks (or masks: it is the same) all bytes, eight at a time.
    func apply(to bytes: UnsafeMutableRawBufferPointer) {
        let wide = UInt64(word) << 32 | UInt64(word)
        let whole = bytes.count & ~7
        var offset = 0
        // All offsets are below `bytes.count`, for `whole` is its multiple of eight below; the loads and
        // stores say that they are unaligned.
        while offset < whole {
            let masked = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            bytes.storeBytes(of: masked ^ wide, toByteOffset: offset, as: UInt64.self)
            offset += 8
        }
        withUnsafeBytes(of: word) { key in
            while offset < bytes.count {
                bytes[offset] ^= key[offset & 3]
                offset += 1
            }
        }
    }
}

extension ByteBuffer {
    /// Unmasks the last `count` readable bytes, in place if this buffer alone owns its memory, else in a copy
    /// of it.
    mutating func unmask(last count: Int, with key: MaskingKey) {
        guard count > 0 else { return }
        // The pointer does not leave the closure. `count` bytes are readable, or the slice traps.
        withUnsafeMutableReadableBytes { bytes in
            key.apply(to: UnsafeMutableRawBufferPointer(rebasing: bytes[(bytes.count - count)...]))
        }
    }
}
