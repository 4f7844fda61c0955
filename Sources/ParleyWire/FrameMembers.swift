import ParleyCore

/// The members of an object, as far as scanning tells: where each value is, and whether it may be a payload.
struct FrameMembers {
    struct Value {
        /// Without the white space around it.
        var range: Range<Int>
        /// The first thing in it that no payload may hold.
        var breach: JSONScanner.Fault?
        var first: UInt8
    }

    struct Member {
        var name: String
        /// Between the quotes.
        var nameRange: Range<Int>
        var value: Value
    }

    /// Borrowed: valid while the call lasts that lends the bytes of the message. No copy of this struct outlives that.
    private let bytes: UnsafeBufferPointer<UInt8>
    private(set) var all: [Member] = []
    /// The first name that came again.
    private(set) var duplicate: String?
    /// The first breach of a payload rule in a name.
    private var nameBreach: JSONScanner.Fault?
    private var known: Set<[UInt8]> = []

    /// More names than this are looked up by hash.
    private static let linearMax = 16

    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
        all.reserveCapacity(8)
    }

    // MARK: - Reading

    /// Reads the text as one object and nothing else. What was read before a fault stays.
    mutating func readWholeText() throws(JSONScanner.Fault) {
        var scanner = JSONScanner(bytes)
        try read(&scanner)
        scanner.skipSpace()
        guard scanner.isAtEnd else { throw scanner.fault("nothing may follow the object") }
    }

    private mutating func read(_ scanner: inout JSONScanner) throws(JSONScanner.Fault) {
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
            let value = Value(range: range, breach: scanner.breach, first: bytes[range.lowerBound])
            add(Member(name: name, nameRange: nameRange, value: value))
            scanner.skipSpace()
            if scanner.take(UInt8(ascii: "}")) { return }
            guard scanner.take(UInt8(ascii: ",")) else { throw scanner.fault("`,` or `}` is expected") }
        }
    }

    private mutating func add(_ member: Member) {
        let isKnown: Bool
        if all.count < Self.linearMax {
            isKnown = all.contains { Self.isSame($0.name, member.name) }
        } else {
            if known.isEmpty { known = Set(all.map { Array($0.name.utf8) }) }
            isKnown = !known.insert(Array(member.name.utf8)).inserted
        }
        if isKnown, duplicate == nil { duplicate = member.name }
        all.append(member)
    }

    /// By code points: `==` would take two names for one that only look the same.
    private static func isSame(_ a: String, _ b: String) -> Bool {
        a.utf8.count == b.utf8.count && a.utf8.elementsEqual(b.utf8)
    }

    // MARK: - What was read

    /// nil also for a name that came twice: neither of the two can be trusted.
    subscript(name: StaticString) -> Value? {
        let wanted = name.description
        guard let index = all.firstIndex(where: { Self.isSame($0.name, wanted) }) else { return nil }
        guard duplicate == nil || !all[(index + 1)...].contains(where: { Self.isSame($0.name, wanted) }) else {
            return nil
        }
        return all[index].value
    }

    /// The first breach of a payload rule in any name or value.
    var breach: JSONScanner.Fault? { nameBreach ?? all.lazy.compactMap(\.value.breach).first }

    func bytes(of value: Value) -> [UInt8] { Array(bytes[value.range]) }

    /// The name as a JSON string, with its quotes.
    func quotedName(of member: Member) -> [UInt8] {
        Array(bytes[member.nameRange.lowerBound - 1..<member.nameRange.upperBound + 1])
    }

    /// nil when the value is no object. Payload rules count from its values.
    func members(of value: Value) -> FrameMembers? {
        var inner = FrameMembers(UnsafeBufferPointer(rebasing: bytes[value.range]))
        do throws(JSONScanner.Fault) {
            try inner.readWholeText()
            return inner
        } catch {
            return nil
        }
    }

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

    /// nil when the value cannot be the `id` of a request.
    func requestID(of value: Value) -> Int64? {
        integer(of: value).flatMap { (1...Limits.requestIDMax).contains($0) ? $0 : nil }
    }

    /// nil when the value is neither true nor false.
    func bool(of value: Value) -> Bool? {
        switch value.first {
        case UInt8(ascii: "t"): true
        case UInt8(ascii: "f"): false
        default: nil
        }
    }
}
