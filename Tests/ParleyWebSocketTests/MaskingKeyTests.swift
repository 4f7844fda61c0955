import NIOCore
import Testing

@testable import ParleyWebSocket

struct MaskingKeyTests {
    @Test("any length at any phase is unmasked like byte by byte")
    func phases() {
        let raw: [UInt8] = [0x12, 0x34, 0x56, 0x78]
        let key = MaskingKey(networkOrder: 0x1234_5678)
        for length in 0..<40 {
            for phase in 0..<9 {
                let plain = (0..<length).map { UInt8($0 * 7 & 0xFF) }
                let masked = plain.enumerated().map { $1 ^ raw[($0 + phase) % 4] }
                var buffer = ByteBuffer(bytes: [1, 2, 3] + masked)
                buffer.unmask(last: length, with: key.advanced(by: phase))
                #expect(Array(buffer.readableBytesView) == [1, 2, 3] + plain)
            }
        }
    }

    @Test("unmasking a slice leaves the buffer that it was cut from as it was")
    func sharedMemory() {
        let whole = ByteBuffer(bytes: 0..<16)
        var slice = whole
        slice.unmask(last: 16, with: MaskingKey(networkOrder: 0xFFFF_FFFF))
        #expect(Array(whole.readableBytesView) == Array(0..<16))
        #expect(Array(slice.readableBytesView) == (0..<16).map { ~$0 })
    }
}
