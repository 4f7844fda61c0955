/// What the binary forms of PostgreSQL's types are made of. All numbers are big-endian.
enum BinaryFormat {
    /// The type's row in `pg_type`; the built-in ones never change.
    enum TypeID: UInt32 {
        case bool = 16
        case bytea = 17
        case char = 18
        case name = 19
        case int8 = 20
        case int2 = 21
        case int4 = 23
        case text = 25
        case oid = 26
        case json = 114
        case float8 = 701
        case unknown = 705
        case bpchar = 1042
        case varchar = 1043
        case timestamp = 1114
        case timestamptz = 1184
    }

    /// PostgreSQL counts microseconds from 2000-01-01; everyone else from 1970-01-01.
    static let epochShift: Int64 = 946_684_800_000_000

    /// Dimensions, flags, element type; then for the one dimension its length and first index.
    static let arrayHeaderLength = 20
}

extension [UInt8] {
    mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }

    mutating func setBigEndian(_ value: Int32, at offset: Int) {
        Swift.withUnsafeBytes(of: value.bigEndian) { bytes in
            for index in 0..<4 { self[offset + index] = bytes[index] }
        }
    }
}

extension UnsafeRawBufferPointer {
    /// The caller has checked the bounds.
    func bigEndian<Value: FixedWidthInteger>(_ type: Value.Type = Value.self, at offset: Int = 0) -> Value {
        Value(bigEndian: loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
}
