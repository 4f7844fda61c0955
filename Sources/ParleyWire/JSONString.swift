/// The text of a JSON string that was scanned before.
package enum JSONString {
    /// `bytes`: what stands between the quotes. Half a surrogate pair becomes U+FFFD.
    package static func text(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
        guard bytes.contains(UInt8(ascii: "\\")) else { return String(decoding: bytes, as: UTF8.self) }
        var units: [UInt16] = []
        var plain = 0
        var index = 0
        func flush(_ end: Int) {
            units.append(
                contentsOf: String(decoding: UnsafeBufferPointer(rebasing: bytes[plain..<end]), as: UTF8.self).utf16)
        }
        while index < bytes.count {
            guard bytes[index] == UInt8(ascii: "\\") else {
                index += 1
                continue
            }
            flush(index)
            switch bytes[index + 1] {
            case UInt8(ascii: "u"):
                let digits = String(decoding: bytes[index + 2..<index + 6], as: UTF8.self)
                units.append(UInt16(digits, radix: 16) ?? 0xFFFD)
                index += 6
            case UInt8(ascii: "b"):
                units.append(8)
                index += 2
            case UInt8(ascii: "f"):
                units.append(12)
                index += 2
            case UInt8(ascii: "n"):
                units.append(10)
                index += 2
            case UInt8(ascii: "r"):
                units.append(13)
                index += 2
            case UInt8(ascii: "t"):
                units.append(9)
                index += 2
            case let other:
                units.append(UInt16(other))
                index += 2
            }
            plain = index
        }
        flush(bytes.count)
        return String(decoding: units, as: UTF16.self)
    }
}
