import CZlib
import Testing

@testable import ParleyGateway

@Suite("Gzip")
struct GzipTests {
    @Test("what was compressed becomes what it was", arguments: [0, 1, 40_000])
    func roundTrip(count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 / 7 % 50) }
        var compressed = try #require(Gzip.compress(bytes))
        #expect(compressed.starts(with: [0x1f, 0x8b]))
        if count > 1 { #expect(compressed.count < bytes.count / 10) }
        var stream = z_stream()
        #expect(inflateInit2_(&stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK)
        defer { inflateEnd(&stream) }
        var output = [UInt8](repeating: 0, count: count + 1)
        let result = compressed.withUnsafeMutableBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(output.count)
                return inflate(&stream, Z_FINISH)
            }
        }
        #expect(result == Z_STREAM_END)
        #expect(Array(output.prefix(Int(stream.total_out))) == bytes)
    }
}
