/// The members of an object, as far as scanning tells: where each value is, and whether it may be a payload.
struct FrameMembers {
    struct Value {
        var range: Range<Int>
        var breach: JSONScanner.Fault?
        var first: UInt8
    }

    let bytes: UnsafeBufferPointer<UInt8>
    private(set) var names: [String] = []
    private(set) var nameRanges: [Range<Int>] = []
    private(set) var values: [Value] = []
    private(set) var duplicate: String?
    /// The first breach of a payload rule in a name.
    private(set) var nameBreach: JSONScanner.Fault?
    private var known: Set<String> = []

    /// More names than this are looked up by hash.
    private static let linearMax = 16

    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
        names.reserveCapacity(8)
        values.reserveCapacity(8)
        nameRanges.reserveCapacity(8)
    }

    /// Reads an object from the scanner. What was read before a fault stays.
    mutating func read(_ scanner: inout JSONScanner) throws(JSONScanner.Fault) {
        scanner.skipSpace()
        guard scanner.take(UInt8(ascii: "{")) else { throw scanner.fault("an object is expected") }
        scanner.skipSpace()
        if scanner.take(UInt8(ascii: "}")) { return }
        while true {
            scanner.skipSpace()
            scanner.breach = nil
            let nameRange = try scanner.string()
            if nameBreach == nil { nameBreach = scanner.breach }
            let name = JSONString.text(UnsafeBufferPointer(rebasing: bytes[nameRange]))
            scanner.skipSpace()
            guard scanner.take(UInt8(ascii: ":")) else { throw scanner.fault("`:` is expected") }
            scanner.breach = nil
            let range = try scanner.value()
            add(name, nameRange, Value(range: range, breach: scanner.breach, first: bytes[range.lowerBound]))
            scanner.skipSpace()
            if scanner.take(UInt8(ascii: "}")) { return }
            guard scanner.take(UInt8(ascii: ",")) else { throw scanner.fault("`,` or `}` is expected") }
        }
    }

    subscript(name: StaticString) -> Value? {
        let wanted = name.description
        return names.firstIndex(of: wanted).map { values[$0] }
    }

    func bytes(of value: Value) -> [UInt8] { Array(bytes[value.range]) }

    /// nil when the value is no string.
    func text(of value: Value) -> String? {
        guard value.first == UInt8(ascii: "\"") else { return nil }
        return JSONString.text(
            UnsafeBufferPointer(rebasing: bytes[value.range.lowerBound + 1..<value.range.upperBound - 1]))
    }

    /// nil unless the value is a number written as digits alone, with a minus before them or not, that fits.
    func integer(of value: Value) -> Int64? {
        var rest = bytes[value.range]
        if rest.first == UInt8(ascii: "-") { rest.removeFirst() }
        guard !rest.isEmpty, rest.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return nil
        }
        return Int64(String(decoding: bytes[value.range], as: UTF8.self))
    }

    /// nil when the value is neither true nor false.
    func bool(of value: Value) -> Bool? {
        switch value.first {
        case UInt8(ascii: "t"): true
        case UInt8(ascii: "f"): false
        default: nil
        }
    }

    private mutating func add(_ name: String, _ nameRange: Range<Int>, _ value: Value) {
        let isKnown: Bool
        if names.count < Self.linearMax {
            isKnown = names.contains(name)
        } else {
            if known.isEmpty { known = Set(names) }
            isKnown = !known.insert(name).inserted
        }
        if isKnown, duplicate == nil { duplicate = name }
        names.append(name)
        nameRanges.append(nameRange)
        values.append(value)
    }
}

/// The text of a JSON string that was scanned before.
enum JSONString {
    /// `bytes`: what stands between the quotes. Half a surrogate pair becomes U+FFFD.
    static func text(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
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
