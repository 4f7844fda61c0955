/// A value for `$n`, in PostgreSQL's binary form. The cast in the SQL must name the same type.
///
/// `text` also serves varchar, name and json; for jsonb write `$1::text::jsonb`, whose binary form differs.
public struct Parameter: Sendable, Hashable {
    enum Storage: Sendable, Hashable {
        case null
        case bool(Bool)
        case int4(Int32)
        case int8(Int64)
        case bytes([UInt8])
    }

    let storage: Storage

    var isNull: Bool {
        if case .null = storage { true } else { false }
    }

    init(_ storage: Storage) { self.storage = storage }

    public static let null = Parameter(.null)

    public static func bool(_ value: Bool?) -> Parameter { Parameter(value.map { .bool($0) } ?? .null) }

    public static func int4(_ value: Int32?) -> Parameter { Parameter(value.map { .int4($0) } ?? .null) }

    public static func int8(_ value: Int64?) -> Parameter { Parameter(value.map { .int8($0) } ?? .null) }

    public static func float8(_ value: Double?) -> Parameter {
        Parameter(value.map { .int8(Int64(bitPattern: $0.bitPattern)) } ?? .null)
    }

    /// PostgreSQL refuses U+0000 in a text.
    public static func text(_ value: String?) -> Parameter {
        Parameter(value.map { .bytes(Array($0.utf8)) } ?? .null)
    }

    /// PostgreSQL refuses what is not UTF-8, and the byte 0.
    public static func text(utf8 value: [UInt8]?) -> Parameter { Parameter(value.map { .bytes($0) } ?? .null) }

    public static func bytea(_ value: [UInt8]?) -> Parameter { Parameter(value.map { .bytes($0) } ?? .null) }

    /// Microseconds since 1970, for a timestamptz.
    public static func timestamp(microseconds value: Int64?) -> Parameter {
        Parameter(value.map { .int8($0 - BinaryFormat.epochShift) } ?? .null)
    }

    /// Bytes on the wire without the length.
    var byteCount: Int {
        switch storage {
        case .null: 0
        case .bool: 1
        case .int4: 4
        case .int8: 8
        case .bytes(let bytes): bytes.count
        }
    }

    func append(to buffer: inout [UInt8]) {
        switch storage {
        case .null: break
        case .bool(let value): buffer.append(value ? 1 : 0)
        case .int4(let value): buffer.appendBigEndian(value)
        case .int8(let value): buffer.appendBigEndian(value)
        case .bytes(let bytes): buffer.append(contentsOf: bytes)
        }
    }
}

extension Parameter: CustomStringConvertible {
    /// Never the value: descriptions end up in logs.
    public var description: String {
        switch storage {
        case .null: "null"
        case .bool, .int4, .int8, .bytes: "\(byteCount) bytes"
        }
    }
}
