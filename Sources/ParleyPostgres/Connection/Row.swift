internal import CLibpq

/// One row. Columns count from 0. Asking for another type than the server sent, or for a NULL without `OrNil`, is a
/// mistake in the program and traps with the column's name: the SQL and its reader are written together.
public struct Row: Sendable {
    let result: CompletedResult
    let index: Int32

    public var columnCount: Int { Int(PQnfields(result.pointer)) }

    public func isNull(_ column: Int) -> Bool {
        checkBounds(column)
        return PQgetisnull(result.pointer, index, Int32(column)) == 1
    }

    // MARK: Numbers

    public func bool(_ column: Int) -> Bool { required(boolOrNil(column), column) }
    public func boolOrNil(_ column: Int) -> Bool? {
        fixed(column, of: [.bool], as: UInt8.self).map { $0 != 0 }
    }

    public func int2(_ column: Int) -> Int16 { required(int2OrNil(column), column) }
    public func int2OrNil(_ column: Int) -> Int16? { fixed(column, of: [.int2], as: Int16.self) }

    public func int4(_ column: Int) -> Int32 { required(int4OrNil(column), column) }
    public func int4OrNil(_ column: Int) -> Int32? { fixed(column, of: [.int4], as: Int32.self) }

    public func int8(_ column: Int) -> Int64 { required(int8OrNil(column), column) }
    public func int8OrNil(_ column: Int) -> Int64? { fixed(column, of: [.int8], as: Int64.self) }

    public func oid(_ column: Int) -> UInt32 { required(oidOrNil(column), column) }
    public func oidOrNil(_ column: Int) -> UInt32? { fixed(column, of: [.oid], as: UInt32.self) }

    public func float8(_ column: Int) -> Double { required(float8OrNil(column), column) }
    public func float8OrNil(_ column: Int) -> Double? {
        fixed(column, of: [.float8], as: UInt64.self).map(Double.init(bitPattern:))
    }

    /// Microseconds since 1970 of a timestamptz, or of a timestamp read as UTC. `infinity` is `Int64.max`.
    public func timestamp(_ column: Int) -> Int64 { required(timestampOrNil(column), column) }
    public func timestampOrNil(_ column: Int) -> Int64? {
        guard let value = fixed(column, of: [.timestamptz, .timestamp], as: Int64.self) else { return nil }
        let shifted = value.addingReportingOverflow(BinaryFormat.epochShift)
        return shifted.overflow || value == .min ? value : shifted.partialValue
    }

    // MARK: Bytes

    /// Of text, varchar, name, json and the like.
    public func text(_ column: Int) -> String { required(textOrNil(column), column) }
    public func textOrNil(_ column: Int) -> String? {
        check(column, is: [.text, .varchar, .name, .json, .bpchar, .char, .unknown])
        return withValue(column) { bytes in bytes.map { String(decoding: $0, as: UTF8.self) } }
    }

    /// The binary form of any type: for text and json the UTF-8, for bytea the content, for uuid its 16 bytes.
    public func bytes(_ column: Int) -> [UInt8] { required(bytesOrNil(column), column) }
    public func bytesOrNil(_ column: Int) -> [UInt8]? {
        checkBounds(column)
        return withValue(column) { $0.map(Array.init) }
    }

    /// The same without a copy. The buffer ends with the call; nil for a NULL.
    public func withBytes<Value>(_ column: Int, _ body: (UnsafeRawBufferPointer?) throws -> Value) rethrows -> Value {
        checkBounds(column)
        return try withValue(column, body)
    }

    // MARK: Arrays, of one dimension

    public func int4Array(_ column: Int) -> [Int32] { required(int4ArrayOrNil(column), column) }
    public func int4ArrayOrNil(_ column: Int) -> [Int32]? {
        array(column, of: .int4) { required($0, column).bigEndian() }
    }

    public func int8Array(_ column: Int) -> [Int64] { required(int8ArrayOrNil(column), column) }
    public func int8ArrayOrNil(_ column: Int) -> [Int64]? {
        array(column, of: .int8) { required($0, column).bigEndian() }
    }

    public func textArray(_ column: Int) -> [String?] { required(textArrayOrNil(column), column) }
    public func textArrayOrNil(_ column: Int) -> [String?]? {
        array(column, of: .text) { element in element.map { String(decoding: $0, as: UTF8.self) } }
    }

    public func byteaArray(_ column: Int) -> [[UInt8]?] { required(byteaArrayOrNil(column), column) }
    public func byteaArrayOrNil(_ column: Int) -> [[UInt8]?]? {
        array(column, of: .bytea) { $0.map(Array.init) }
    }

    /// `convert` gets nil for a NULL element.
    private func array<Element>(
        _ column: Int, of type: BinaryFormat.TypeID, _ convert: (UnsafeRawBufferPointer?) -> Element
    ) -> [Element]? {
        checkBounds(column)
        return withValue(column) { bytes in
            guard let bytes else { return nil }
            let dimensions: Int32 = bytes.bigEndian()
            let elementType: UInt32 = bytes.bigEndian(at: 8)
            precondition(elementType == type.rawValue, "\(name(column)) is an array of type \(elementType)")
            precondition(dimensions <= 1, "\(name(column)) has \(dimensions) dimensions")
            guard dimensions == 1 else { return [] }
            let count: Int32 = bytes.bigEndian(at: 12)
            var offset = BinaryFormat.arrayHeaderLength
            return (0..<count).map { _ in
                let length: Int32 = bytes.bigEndian(at: offset)
                offset += 4
                guard length >= 0 else { return convert(nil) }
                defer { offset += Int(length) }
                return convert(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + Int(length)]))
            }
        }
    }

    // MARK: Access

    /// The value's memory belongs to the result, which is held until `body` returns; nil for a NULL.
    private func withValue<Value>(
        _ column: Int, _ body: (UnsafeRawBufferPointer?) throws -> Value
    ) rethrows -> Value {
        let column = Int32(column)
        return try withExtendedLifetime(result) {
            guard PQgetisnull(result.pointer, index, column) == 0 else { return try body(nil) }
            return try body(
                UnsafeRawBufferPointer(
                    start: PQgetvalue(result.pointer, index, column),
                    count: Int(PQgetlength(result.pointer, index, column))))
        }
    }

    private func fixed<Value: FixedWidthInteger>(
        _ column: Int, of types: [BinaryFormat.TypeID], as: Value.Type
    ) -> Value? {
        check(column, is: types)
        return withValue(column) { $0?.bigEndian() }
    }

    private func required<Value>(_ value: Value?, _ column: Int) -> Value {
        guard let value else { preconditionFailure("\(name(column)) is NULL") }
        return value
    }

    private func check(_ column: Int, is types: [BinaryFormat.TypeID]) {
        checkBounds(column)
        let type = PQftype(result.pointer, Int32(column))
        precondition(
            types.contains { $0.rawValue == type } && PQfformat(result.pointer, Int32(column)) == 1,
            "\(name(column)) has type \(type), wanted \(types)")
    }

    private func checkBounds(_ column: Int) {
        precondition((0..<columnCount).contains(column), "there is no column \(column) of \(columnCount)")
    }

    private func name(_ column: Int) -> String {
        let name = PQfname(result.pointer, Int32(column)).map { String(cString: $0) } ?? "?"
        return "column \(column) (\(name))"
    }
}
