/// One-dimensional arrays whose first index is 1, as `unnest` and `ANY` want them. An empty one is `{}`.
extension Parameter {
    public static func boolArray(_ values: [Bool]) -> Parameter {
        array(values, of: .bool, sizeEach: 1) { $1.append($0 ? 1 : 0) }
    }

    public static func int4Array(_ values: [Int32]) -> Parameter {
        array(values, of: .int4, sizeEach: 4) { $1.appendBigEndian($0) }
    }

    public static func int4Array(_ values: [Int32?]) -> Parameter {
        array(values, of: .int4, sizeEach: 4) { $1.appendBigEndian($0) }
    }

    public static func int8Array(_ values: [Int64]) -> Parameter {
        array(values, of: .int8, sizeEach: 8) { $1.appendBigEndian($0) }
    }

    public static func int8Array(_ values: [Int64?]) -> Parameter {
        array(values, of: .int8, sizeEach: 8) { $1.appendBigEndian($0) }
    }

    public static func float8Array(_ values: [Double]) -> Parameter {
        array(values, of: .float8, sizeEach: 8) { $1.appendBigEndian($0.bitPattern) }
    }

    public static func textArray(_ values: [String]) -> Parameter {
        array(values, of: .text, sizeEach: 16) { $1.append(contentsOf: $0.utf8) }
    }

    public static func textArray(_ values: [String?]) -> Parameter {
        array(values, of: .text, sizeEach: 16) { $1.append(contentsOf: $0.utf8) }
    }

    /// Each element UTF-8.
    public static func textArray(_ values: [[UInt8]]) -> Parameter { bytesArray(values, of: .text) }

    /// Each element UTF-8.
    public static func textArray(_ values: [[UInt8]?]) -> Parameter { bytesArray(values, of: .text) }

    public static func byteaArray(_ values: [[UInt8]]) -> Parameter { bytesArray(values, of: .bytea) }

    public static func byteaArray(_ values: [[UInt8]?]) -> Parameter { bytesArray(values, of: .bytea) }

    private static func bytesArray(_ values: [[UInt8]], of type: BinaryFormat.TypeID) -> Parameter {
        array(values, of: type, sizeEach: values.first?.count ?? 0) { $1.append(contentsOf: $0) }
    }

    private static func bytesArray(_ values: [[UInt8]?], of type: BinaryFormat.TypeID) -> Parameter {
        array(values, of: type, sizeEach: 16) { $1.append(contentsOf: $0) }
    }

    private static func array<Element>(
        _ values: [Element], of type: BinaryFormat.TypeID, sizeEach: Int,
        append: (Element, inout [UInt8]) -> Void
    ) -> Parameter {
        array(values, of: type, sizeEach: sizeEach, hasNulls: false) { element, buffer in
            append(element, &buffer)
            return true
        }
    }

    private static func array<Element>(
        _ values: [Element?], of type: BinaryFormat.TypeID, sizeEach: Int,
        append: (Element, inout [UInt8]) -> Void
    ) -> Parameter {
        let hasNulls = values.contains { $0 == nil }
        return array(values, of: type, sizeEach: sizeEach, hasNulls: hasNulls) { element, buffer in
            guard let element else { return false }
            append(element, &buffer)
            return true
        }
    }

    /// `append` returns false for a NULL.
    private static func array<Element>(
        _ values: [Element], of type: BinaryFormat.TypeID, sizeEach: Int, hasNulls: Bool,
        append: (Element, inout [UInt8]) -> Bool
    ) -> Parameter {
        var buffer: [UInt8] = []
        buffer.reserveCapacity(BinaryFormat.arrayHeaderLength + values.count * (4 + sizeEach))
        buffer.appendBigEndian(Int32(values.isEmpty ? 0 : 1))
        buffer.appendBigEndian(Int32(hasNulls ? 1 : 0))
        buffer.appendBigEndian(type.rawValue)
        guard !values.isEmpty else { return Parameter(.bytes(buffer)) }
        buffer.appendBigEndian(Int32(values.count))
        buffer.appendBigEndian(Int32(1))
        for value in values {
            let start = buffer.count
            buffer.appendBigEndian(Int32(-1))
            guard append(value, &buffer) else { continue }
            buffer.setBigEndian(Int32(buffer.count - start - 4), at: start)
        }
        return Parameter(.bytes(buffer))
    }
}
