import ParleyCore

/// Walks once over JSON text and checks all of it (RFC 8259), together with the payload rules of the protocol: no `\u0000`,
/// no unpaired surrogate, numbers of at most 64 characters inside a double's range, nesting of at most 100.
///
/// A breach of the grammar ends the walk. A breach of a payload rule does not, so that the rest of the frame, its `id` for
/// one, can be read; it is noted in `breach`, for whoever takes the value as a payload.
///
/// The text must be valid UTF-8 already. Nothing is copied and nothing recurses.
package struct JSONScanner {
    /// What is wrong, and at which byte.
    package struct Fault: Error, Equatable {
        package var reason: String
        package var offset: Int
    }

    /// Borrowed, as in `FrameMembers`; each read stands behind a comparison with `bytes.count`.
    private let bytes: UnsafeBufferPointer<UInt8>
    package private(set) var offset = 0
    /// The first breach of a payload rule since it was last cleared.
    package var breach: Fault?

    package init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    package var isAtEnd: Bool { offset == bytes.count }

    package mutating func skipSpace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): offset += 1
            default: return
            }
        }
    }

    /// Takes `byte` if it is next.
    package mutating func take(_ byte: UInt8) -> Bool {
        guard offset < bytes.count, bytes[offset] == byte else { return false }
        offset += 1
        return true
    }

    package var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    package func fault(_ reason: String) -> Fault { Fault(reason: reason, offset: offset) }

    /// Takes one value and returns where its bytes are, without space around them.
    package mutating func value() throws(Fault) -> Range<Int> {
        skipSpace()
        let start = offset
        var isObject = Nesting()
        while true {
            // A value begins here.
            skipSpace()
            switch next {
            case UInt8(ascii: "{"):
                offset += 1
                isObject.push(true)
                if isObject.depth > Limits.depthMax { note("nested deeper than \(Limits.depthMax)") }
                skipSpace()
                if !take(UInt8(ascii: "}")) {
                    try memberName()
                    continue
                }
                isObject.pop()
            case UInt8(ascii: "["):
                offset += 1
                isObject.push(false)
                if isObject.depth > Limits.depthMax { note("nested deeper than \(Limits.depthMax)") }
                skipSpace()
                if !take(UInt8(ascii: "]")) { continue }
                isObject.pop()
            case UInt8(ascii: "\""): _ = try string()
            case UInt8(ascii: "t"): try word("true")
            case UInt8(ascii: "f"): try word("false")
            case UInt8(ascii: "n"): try word("null")
            case let first? where first == UInt8(ascii: "-") || Self.isDigit(first): _ = try number()
            case nil: throw fault("the text ends where a value is expected")
            default: throw fault("a value is expected")
            }
            // A value has ended: close what it closes.
            while true {
                guard isObject.depth > 0 else { return start..<offset }
                skipSpace()
                if take(UInt8(ascii: ",")) {
                    if isObject.top {
                        skipSpace()
                        try memberName()
                    }
                    break
                }
                guard take(isObject.top ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
                    throw fault(isObject.top ? "`,` or `}` is expected" : "`,` or `]` is expected")
                }
                isObject.pop()
            }
        }
    }

    /// Takes a string and returns the range of its bytes between the quotes.
    package mutating func string() throws(Fault) -> Range<Int> {
        guard take(UInt8(ascii: "\"")) else { throw fault("a string is expected") }
        let start = offset
        while offset < bytes.count {
            switch bytes[offset] {
            case UInt8(ascii: "\""):
                offset += 1
                return start..<offset - 1
            case UInt8(ascii: "\\"): try escape()
            case 0..<0x20: throw fault("a control character in a string must be escaped")
            default: offset += 1
            }
        }
        throw fault("a string does not end")
    }

    /// Takes a number and returns where it is.
    package mutating func number() throws(Fault) -> Range<Int> {
        let start = offset
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) {
            guard digits() else { throw fault("a digit is expected") }
        }
        var isWhole = true
        var isZero = !bytes[start..<offset].contains { (UInt8(ascii: "1")...UInt8(ascii: "9")).contains($0) }
        if take(UInt8(ascii: ".")) {
            isWhole = false
            let fraction = offset
            guard digits() else { throw fault("a digit is expected after the point") }
            isZero = isZero && bytes[fraction..<offset].allSatisfy { $0 == UInt8(ascii: "0") }
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            isWhole = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            guard digits() else { throw fault("a digit is expected in the exponent") }
        }
        if offset - start > Limits.numberLengthMax {
            note("a number is longer than \(Limits.numberLengthMax) characters")
        } else if !isWhole {
            // 64 digits and no exponent cannot leave a double's range.
            let text = String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<offset]), as: UTF8.self)
            let value = Double(text) ?? .infinity
            if !value.isFinite || (value == 0 && !isZero) { note("a number is out of the range of a double") }
        }
        return start..<offset
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private mutating func digits() -> Bool {
        let start = offset
        while let digit = next, Self.isDigit(digit) { offset += 1 }
        return offset > start
    }

    private mutating func memberName() throws(Fault) {
        _ = try string()
        skipSpace()
        guard take(UInt8(ascii: ":")) else { throw fault("`:` is expected") }
    }

    private mutating func word(_ word: StaticString) throws(Fault) {
        let text = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
        guard offset + text.count <= bytes.count, bytes[offset..<offset + text.count].elementsEqual(text) else {
            throw fault("a value is expected")
        }
        offset += text.count
    }

    private mutating func escape() throws(Fault) {
        offset += 1
        switch next {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            offset += 1
        case UInt8(ascii: "u"):
            switch try unicodeEscape() {
            case 0: note("\\u0000 is not allowed")
            case 0xD800...0xDBFF: try lowSurrogate()
            case 0xDC00...0xDFFF: note("half of a surrogate pair stands alone")
            default: break
            }
        default: throw fault("an unknown escape in a string")
        }
    }

    /// Behind a high surrogate. Takes the low one, if it is there.
    private mutating func lowSurrogate() throws(Fault) {
        guard next == UInt8(ascii: "\\"), offset + 1 < bytes.count, bytes[offset + 1] == UInt8(ascii: "u") else {
            return note("half of a surrogate pair stands alone")
        }
        let start = offset
        offset += 1
        if !(0xDC00...0xDFFF).contains(try unicodeEscape()) {
            note("half of a surrogate pair stands alone")
            // It may be the first half of another pair.
            offset = start
        }
    }

    private mutating func note(_ reason: @autoclosure () -> String) {
        if breach == nil { breach = fault(reason()) }
    }

    /// At the `u`. Takes it and the four digits.
    private mutating func unicodeEscape() throws(Fault) -> UInt16 {
        offset += 1
        guard offset + 4 <= bytes.count else { throw fault("four hexadecimal digits are expected") }
        var unit: UInt16 = 0
        for index in offset..<offset + 4 {
            guard let digit = Self.hexDigit(bytes[index]) else { throw fault("four hexadecimal digits are expected") }
            unit = unit << 4 | digit
        }
        offset += 4
        return unit
    }

    private static func hexDigit(_ byte: UInt8) -> UInt16? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt16(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt16(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt16(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}
