/// The public name of a room: 1 to 64 of `A-Z a-z 0-9 . _ ~ -`, but neither `.` nor `..`.
public struct RoomID: Hashable, Sendable, CustomStringConvertible {
    public static let lengthMax = 64

    public let text: String

    /// nil when `text` is not a valid room id.
    public init?(_ text: String) {
        guard (1...Self.lengthMax).contains(text.utf8.count), text != ".", text != "..",
            text.utf8.allSatisfy(Self.allowed)
        else { return nil }
        self.text = text
    }

    /// Twelve characters of the alphabet without look-alikes: 60 bits.
    public static func random(using generator: inout some RandomNumberGenerator) -> RoomID {
        RoomID(unchecked: randomText(count: 12, using: &generator))
    }

    private init(unchecked text: String) { self.text = text }

    public var description: String { text }

    private static func allowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

/// The key of a room inside the store. Texts are mapped to it once, at the join.
public struct RoomNumber: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let value: Int64
    public init(_ value: Int64) { self.value = value }
    public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
    public var description: String { String(value) }
}

/// The public name of a client, the same on all sockets of one session. Never needs escaping in JSON.
public struct ClientID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let text: String

    /// nil unless 1 to 64 of the characters of a room id: ids that Parley itself made always are.
    public init?(_ text: String) {
        guard let id = RoomID(text) else { return nil }
        self.text = id.text
    }

    /// Sixteen characters: 80 bits.
    public static func random(using generator: inout some RandomNumberGenerator) -> ClientID {
        ClientID(unchecked: randomText(count: 16, using: &generator))
    }

    private init(unchecked text: String) { self.text = text }

    public static func < (a: Self, b: Self) -> Bool { a.text.utf8.lexicographicallyPrecedes(b.text.utf8) }
    public var description: String { text }
}

/// Place of a change in its room's log: 1, 2, 3 … without gaps. 0 stands before the first.
public typealias Seq = Int64

/// Crockford's base 32 in lower case: digits and letters without i, l, o, u.
private let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

private func randomText(count: Int, using generator: inout some RandomNumberGenerator) -> String {
    String(
        decoding: (0..<count).map { _ in alphabet[Int.random(in: 0..<32, using: &generator)] }, as: UTF8.self)
}
