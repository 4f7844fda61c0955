/// Consecutive changes of one room, as they stand in the log and in `update` frames: JSON objects joined by commas.
///
/// The bytes are stored once and replayed as they are. Invariant: `body` holds exactly `to - from + 1` objects.
public struct Run: Hashable, Sendable {
    public var from: Seq
    public var to: Seq
    /// The tag of the chunk in which `to` lies.
    public var tag: Tag
    public var body: [UInt8]

    public init(from: Seq, to: Seq, tag: Tag, body: [UInt8]) {
        self.from = from
        self.to = to
        self.tag = tag
        self.body = body
    }

    public var count: Int { Int(to - from + 1) }
    public var end: Position { Position(seq: to, tag: tag) }

    /// What of this run comes after `seq`; nil when nothing does.
    public func suffix(after seq: Seq) -> Run? {
        guard seq < to else { return nil }
        guard seq >= from else { return self }
        let start = ChangeScanner.offset(ofChange: Int(seq - from + 1), in: body)
        return Run(from: seq + 1, to: to, tag: tag, body: Array(body[start...]))
    }

    /// What of this run comes up to and including `seq`; nil when nothing does.
    public func prefix(through seq: Seq) -> Run? {
        guard seq >= from else { return nil }
        guard seq < to else { return self }
        let end = ChangeScanner.offset(ofChange: Int(seq - from + 1), in: body) - 1
        return Run(from: from, to: seq, tag: tag, body: Array(body[..<end]))
    }

    /// The bytes of each change, in order.
    public var changes: [[UInt8]] {
        var start = 0
        return changeLengths.map { length in
            defer { start += length + 1 }
            return Array(body[start..<start + length])
        }
    }

    /// The byte length of each change, in order; the commas between them are not counted.
    public var changeLengths: [Int] { ChangeScanner.lengths(in: body) }
}

extension [Run] {
    /// The changes of all of them.
    public var body: [UInt8] { [UInt8](map(\.body).joined(separator: [UInt8(ascii: ",")])) }
}

/// Finds where the changes of a body begin. The body was well-formed JSON when it was accepted, so that only strings
/// and brackets need to be told apart.
enum ChangeScanner {
    /// The offset at which change number `index`, counted from 0, begins. The body must hold that many.
    static func offset(ofChange index: Int, in body: [UInt8]) -> Int {
        guard index > 0 else { return 0 }
        var left = index
        var found = body.count
        scan(body) { comma in
            left -= 1
            if left == 0 { found = comma + 1 }
            return left > 0
        }
        return found
    }

    static func lengths(in body: [UInt8]) -> [Int] {
        guard !body.isEmpty else { return [] }
        var lengths: [Int] = []
        var start = 0
        scan(body) { comma in
            lengths.append(comma - start)
            start = comma + 1
            return true
        }
        lengths.append(body.count - start)
        return lengths
    }

    /// Calls `visit` with the offset of each comma between changes until it returns false.
    private static func scan(_ body: [UInt8], visit: (Int) -> Bool) {
        body.withUnsafeBufferPointer { bytes in
            var depth = 0
            var index = 0
            while index < bytes.count {
                switch bytes[index] {
                case UInt8(ascii: "\""):
                    index += 1
                    while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
                        index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
                    }
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
                case UInt8(ascii: ",") where depth == 0:
                    if !visit(index) { return }
                default: break
                }
                index += 1
            }
        }
    }
}
