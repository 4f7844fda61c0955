/// Checks UTF-8 (RFC 3629) that arrives in pieces, and fails at the first byte that no continuation can make
/// valid.
struct UTF8Validator: Sendable {
    /// How many bytes of the character at the end are still to come.
    private var missing: UInt8 = 0
    /// The range of the next one of them: narrower than 80...BF after E0 and F0 (overlong), ED (surrogates)
    /// and F4 (beyond U+10FFFF).
    private var lowest: UInt8 = 0x80
    private var highest: UInt8 = 0xBF

    /// Whether the text may end here.
    var isComplete: Bool { missing == 0 }

    /// False if the text so far is not the beginning of valid UTF-8; nothing may be added after that.
    mutating func add(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while index < bytes.count {
            if missing == 0 {
                index = UTF8Validator.endOfASCII(in: bytes, from: index)
                guard index < bytes.count else { return true }
                guard begin(with: bytes[index]) else { return false }
            } else {
                guard lowest <= bytes[index], bytes[index] <= highest else { return false }
                missing -= 1
                (lowest, highest) = (0x80, 0xBF)
            }
            index += 1
        }
        return true
    }

    /// Takes the first byte of a character.
    private mutating func begin(with byte: UInt8) -> Bool {
        switch byte {
        case 0x00...0x7F: break
        case 0xC2...0xDF: missing = 1
        case 0xE0: (missing, lowest) = (2, 0xA0)
        case 0xED: (missing, highest) = (2, 0x9F)
        case 0xE1...0xEF: missing = 2
        case 0xF0: (missing, lowest) = (3, 0x90)
        case 0xF1...0xF3: missing = 3
        case 0xF4: (missing, highest) = (3, 0x8F)
        default: return false
        }
        return true
    }

    /// The offset of the first byte at or after `start` that is not ASCII, or the end.
    private static func endOfASCII(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        let high: UInt64 = 0x8080_8080_8080_8080
        var index = start
        // Both loops load only while what they load ends within `bytes`.
        while index + 32 <= bytes.count {
            let seen =
                bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                | bytes.loadUnaligned(fromByteOffset: index + 8, as: UInt64.self)
                | bytes.loadUnaligned(fromByteOffset: index + 16, as: UInt64.self)
                | bytes.loadUnaligned(fromByteOffset: index + 24, as: UInt64.self)
            guard seen & high == 0 else { break }
            index += 32
        }
        while index + 8 <= bytes.count {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            guard word & high == 0 else { return index + (word & high).trailingZeroBitCount / 8 }
            index += 8
        }
        while index < bytes.count, bytes[index] < 0x80 { index += 1 }
        return index
    }
}
