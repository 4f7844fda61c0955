import NIOCore

@testable import ParleyWebSocket

/// Frames as a client sends them, right and wrong ones.
enum LengthForm { case shortest, in16Bits, in64Bits }

func clientFrame(
    _ opcode: UInt8, _ payload: some Collection<UInt8>, isFinal: Bool = true, reserved: UInt8 = 0,
    key: [UInt8]? = [0x37, 0xFA, 0x21, 0x3D], lengthForm: LengthForm = .shortest
) -> [UInt8] {
    let length = payload.count
    var frame: [UInt8] = [(isFinal ? 0x80 : 0) | reserved << 4 | opcode]
    let masked: UInt8 = key == nil ? 0 : 0x80
    switch lengthForm {
    case .shortest where length <= 125: frame.append(masked | UInt8(length))
    case .shortest where length > 0xFFFF, .in64Bits:
        frame.append(masked | 127)
        frame += (0..<8).map { UInt8(truncatingIfNeeded: length >> (56 - 8 * $0)) }
    case .shortest, .in16Bits: frame += [masked | 126, UInt8(length >> 8), UInt8(length & 0xFF)]
    }
    frame += key ?? []
    frame += payload.enumerated().map { index, byte in byte ^ (key?[index % 4] ?? 0) }
    return frame
}

/// A header that promises more than follows.
func clientHeader(_ opcode: UInt8, promising length: UInt64, isFinal: Bool = true) -> [UInt8] {
    [(isFinal ? 0x80 : 0) | opcode, 0xFF] + (0..<8).map { UInt8(truncatingIfNeeded: length >> (56 - 8 * $0)) }
        + [1, 2, 3, 4]
}

func clientText(_ text: String, isFinal: Bool = true) -> [UInt8] {
    clientFrame(1, Array(text.utf8), isFinal: isFinal)
}

func clientClose(_ code: UInt16?, _ reason: [UInt8] = []) -> [UInt8] {
    clientFrame(8, (code.map { [UInt8($0 >> 8), UInt8($0 & 0xFF)] } ?? []) + reason)
}

/// What came of a row of bytes.
struct Outcome: Equatable {
    var messages: [WebSocketMessage] = []
    var violation: WebSocketViolation?
}

/// Feeds the pieces through decoder and assembler until the first violation.
func outcome(of pieces: [[UInt8]], messageBytesMax: Int = 1 << 20, acceptsBinary: Bool = true) -> Outcome {
    var decoder = FrameDecoder()
    var assembler = MessageAssembler(messageBytesMax: messageBytesMax, acceptsBinary: acceptsBinary)
    var outcome = Outcome()
    for piece in pieces {
        decoder.append(ByteBuffer(bytes: piece))
        do throws(WebSocketViolation) {
            while let part = try decoder.next() {
                if let message = try assembler.add(part) { outcome.messages.append(message) }
            }
        } catch {
            outcome.violation = error
            return outcome
        }
    }
    return outcome
}

extension Array {
    func split(by size: Int) -> [[Element]] {
        stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
    }
}
