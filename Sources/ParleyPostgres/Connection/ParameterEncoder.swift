/// Lays out parameters as libpq wants them: addresses, lengths and formats.
enum ParameterEncoder {
    typealias Values = UnsafePointer<UnsafePointer<CChar>?>

    static let countMax = 65_535
    private static let binary: Int32 = 1

    /// The pointers are valid until `body` returns, which is enough: libpq copies the values into its own buffer
    /// before its send functions return.
    static func withEncoded<Value>(
        _ parameters: [Parameter],
        _ body: (_ count: Int32, Values, _ lengths: UnsafePointer<Int32>, _ formats: UnsafePointer<Int32>) -> Value
    ) -> Value {
        precondition(parameters.count <= countMax, "PostgreSQL takes 65,535 parameters at most")
        var bytes: [UInt8] = []
        // One byte more than needed, so that an empty value has an address too: a null pointer means NULL.
        bytes.reserveCapacity(parameters.reduce(1) { $0 + $1.byteCount })
        for parameter in parameters { parameter.append(to: &bytes) }
        bytes.append(0)
        return bytes.withUnsafeBytes { buffer in
            withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: parameters.count + 1) { values in
                withUnsafeTemporaryAllocation(of: Int32.self, capacity: 2 * parameters.count + 1) { numbers in
                    // Both are written in full before they are read, and all three have an address because none is
                    // empty. Lengths come first, formats after them.
                    values.initialize(repeating: nil)
                    numbers.initialize(repeating: binary)
                    var offset = 0
                    for (index, parameter) in parameters.enumerated() {
                        let length = parameter.byteCount
                        if !parameter.isNull {
                            values[index] = buffer.baseAddress.map { start in
                                UnsafePointer((start + offset).assumingMemoryBound(to: CChar.self))
                            }
                        }
                        numbers[index] = Int32(length)
                        offset += length
                    }
                    guard let value = values.baseAddress, let lengths = numbers.baseAddress else {
                        preconditionFailure("an allocation of at least one element has an address")
                    }
                    return body(
                        Int32(parameters.count), UnsafePointer(value), UnsafePointer(lengths),
                        UnsafePointer(lengths + parameters.count))
                }
            }
        }
    }
}
