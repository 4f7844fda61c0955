/// A place in a room's log: a `seq` together with the random tag that its writer gave the chunk.
///
/// When the database has lost its tail and given the same `seq` to other content, the tag tells the two apart.
/// Place 0 carries the tag of the room itself, so that a room made anew under an old id is told apart too.
public struct Position: Hashable, Sendable, CustomStringConvertible {
    public var seq: Seq
    public var tag: Tag

    public init(seq: Seq, tag: Tag) {
        self.seq = seq
        self.tag = tag
    }

    /// The wire form `seq-tag`, decimal and hexadecimal; nil when it is none.
    public init?(_ text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard parts.count == 2, (1...19).contains(parts[0].count), (1...8).contains(parts[1].count),
            parts[0].allSatisfy(Self.isDigit), parts[1].allSatisfy({ Self.isDigit($0) || Self.isLetterDigit($0) }),
            let seq = Seq(Substring(parts[0])), let tag = UInt32(Substring(parts[1]), radix: 16)
        else { return nil }
        self.init(seq: seq, tag: Tag(bitPattern: tag))
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    private static func isLetterDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
    }

    public var description: String { "\(seq)-\(String(UInt32(bitPattern: tag), radix: 16))" }
}

/// Random, chosen by the writing node for each chunk. Signed because PostgreSQL has no other 32-bit integer.
public typealias Tag = Int32

/// What a client names as the place up to which it knows a room: proof of what it has seen, or just a number.
public enum ResumePoint: Hashable, Sendable {
    case position(Position)
    case seq(Seq)

    public var seq: Seq {
        switch self {
        case .position(let position): position.seq
        case .seq(let seq): seq
        }
    }
}
