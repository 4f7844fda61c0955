import ParleyCore
import ParleyWire

/// Values as a client takes them out of a node's frame, in one pass. A value of another kind than expected is a fault.
extension JSONScanner {
    /// Takes an object; `body` has to take the value of each member.
    mutating func eachMember(
        of bytes: UnsafeBufferPointer<UInt8>, _ body: (inout JSONScanner, String) throws(Fault) -> Void
    ) throws(Fault) {
        skipSpace()
        guard take(UInt8(ascii: "{")) else { throw fault("an object is expected") }
        skipSpace()
        if take(UInt8(ascii: "}")) { return }
        while true {
            skipSpace()
            let name = JSONString.text(UnsafeBufferPointer(rebasing: bytes[try string()]))
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw fault("`:` is expected") }
            skipSpace()
            try body(&self, name)
            skipSpace()
            if take(UInt8(ascii: "}")) { return }
            guard take(UInt8(ascii: ",")) else { throw fault("`,` or `}` is expected") }
        }
    }

    /// Takes an array; `body` has to take each element.
    mutating func eachElement(_ body: (inout JSONScanner) throws(Fault) -> Void) throws(Fault) {
        skipSpace()
        guard take(UInt8(ascii: "[")) else { throw fault("an array is expected") }
        skipSpace()
        if take(UInt8(ascii: "]")) { return }
        while true {
            skipSpace()
            try body(&self)
            skipSpace()
            if take(UInt8(ascii: "]")) { return }
            guard take(UInt8(ascii: ",")) else { throw fault("`,` or `]` is expected") }
        }
    }

    mutating func text(of bytes: UnsafeBufferPointer<UInt8>) throws(Fault) -> String {
        JSONString.text(UnsafeBufferPointer(rebasing: bytes[try string()]))
    }

    mutating func integer(of bytes: UnsafeBufferPointer<UInt8>) throws(Fault) -> Int64 {
        let range = try number()
        guard let value = Int64(String(decoding: UnsafeBufferPointer(rebasing: bytes[range]), as: UTF8.self)) else {
            throw fault("an integer is expected")
        }
        return value
    }

    mutating func bool() throws(Fault) -> Bool {
        guard let first = next, first == UInt8(ascii: "t") || first == UInt8(ascii: "f") else {
            throw fault("true or false is expected")
        }
        _ = try value()
        return first == UInt8(ascii: "t")
    }
}
