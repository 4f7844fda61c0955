import NIOCore

/// Writes JSON text into one buffer. Commas are put by the last byte written, so that nothing needs to be remembered.
struct JSONWriter {
    private(set) var buffer: ByteBuffer

    init(capacity: Int) { buffer = ByteBufferAllocator().buffer(capacity: capacity) }

    mutating func object(_ body: (inout JSONWriter) -> Void) {
        buffer.writeInteger(UInt8(ascii: "{"))
        body(&self)
        buffer.writeInteger(UInt8(ascii: "}"))
    }

    mutating func array<Elements: Sequence>(_ elements: Elements, _ body: (inout JSONWriter, Elements.Element) -> Void)
    {
        buffer.writeInteger(UInt8(ascii: "["))
        for element in elements {
            separate()
            body(&self, element)
        }
        buffer.writeInteger(UInt8(ascii: "]"))
    }

    /// `name` must need no escaping.
    mutating func name(_ name: StaticString) {
        separate()
        buffer.writeInteger(UInt8(ascii: "\""))
        buffer.writeStaticString(name)
        buffer.writeStaticString("\":")
    }

    mutating func member(_ name: StaticString, string: String) {
        self.name(name)
        self.string(string)
    }

    mutating func member(_ name: StaticString, verbatim: StaticString) {
        self.name(name)
        buffer.writeInteger(UInt8(ascii: "\""))
        buffer.writeStaticString(verbatim)
        buffer.writeInteger(UInt8(ascii: "\""))
    }

    mutating func member(_ name: StaticString, integer: some BinaryInteger) {
        self.name(name)
        self.integer(integer)
    }

    mutating func member(_ name: StaticString, bool: Bool) {
        self.name(name)
        buffer.writeStaticString(bool ? "true" : "false")
    }

    mutating func integer(_ value: some BinaryInteger) { buffer.writeString(String(value)) }

    mutating func raw(_ text: StaticString) { buffer.writeStaticString(text) }
    /// JSON text that was checked when it came in.
    mutating func raw(_ bytes: [UInt8]) { buffer.writeBytes(bytes) }

    mutating func string(_ text: String) {
        buffer.writeInteger(UInt8(ascii: "\""))
        defer { buffer.writeInteger(UInt8(ascii: "\"")) }
        // Nearly always, and many times faster than byte by byte.
        guard text.utf8.contains(where: Self.needsEscape) else {
            buffer.writeString(text)
            return
        }
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): buffer.writeStaticString("\\\"")
            case UInt8(ascii: "\\"): buffer.writeStaticString("\\\\")
            case 0..<0x20:
                buffer.writeStaticString("\\u00")
                buffer.writeInteger(Self.hex(byte >> 4))
                buffer.writeInteger(Self.hex(byte & 15))
            default: buffer.writeInteger(byte)
            }
        }
    }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private mutating func separate() {
        switch buffer.getInteger(at: buffer.writerIndex - 1, as: UInt8.self) {
        case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: ":"), nil: break
        default: buffer.writeInteger(UInt8(ascii: ","))
        }
    }

    private static func hex(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
    }
}
