import TestRandom
import Testing

@testable import ParleyWebSocket

struct UTF8ValidatorTests {
    /// Where the piece begins that is refused; nil when none is.
    private func refusal(_ bytes: [UInt8], pieces size: Int) -> Int? {
        var validator = UTF8Validator()
        return bytes.withUnsafeBytes { bytes in
            stride(from: 0, to: bytes.count, by: size).first { start in
                let end = min(start + size, bytes.count)
                return !validator.add(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
            }
        }
    }

    private func accepts(_ bytes: [UInt8], pieces size: Int) -> Bool {
        var validator = UTF8Validator()
        return bytes.withUnsafeBytes { bytes in
            stride(from: 0, to: bytes.count, by: size).allSatisfy { start in
                let end = min(start + size, bytes.count)
                return validator.add(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
            }
        } && validator.isComplete
    }

    @Test("all scalars are accepted, whole and byte by byte")
    func everyScalar() {
        var text = String.UnicodeScalarView()
        for value in UInt32(0)...0x10FFFF {
            if let scalar = Unicode.Scalar(value) { text.append(scalar) }
        }
        let bytes = Array(String(text).utf8)
        #expect(accepts(bytes, pieces: bytes.count))
        #expect(accepts(bytes, pieces: 5))
        #expect(refusal(bytes, pieces: 1) == nil)
    }

    @Test("every pair of bytes, alone and continued, is judged as the standard library judges it")
    func everyPair() {
        let ends: [[UInt8]] = [[], [0x80], [0x7F], [0xC0], [0x80, 0xBF]]
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max {
                for end in ends {
                    let bytes = [first, second] + end
                    let isValid = String(validating: bytes, as: UTF8.self) != nil
                    guard accepts(bytes, pieces: 1) == isValid, accepts(bytes, pieces: 8) == isValid else {
                        Issue.record("\(bytes) should be \(isValid ? "valid" : "invalid")")
                        return
                    }
                }
            }
        }
    }

    @Test(
        "the first byte that cannot be continued is the one that is refused",
        arguments: [
            ([0xC0], 0), ([0xC1], 0), ([0xF5], 0), ([0xFF], 0), ([0x80], 0), ([0xE0, 0x9F], 1),
            ([0xED, 0xA0], 1), ([0xF0, 0x8F], 1), ([0xF4, 0x90], 1), ([0xE2, 0x82, 0x20], 2),
            ([0x61, 0xCE, 0xBA, 0xF4, 0x90], 4),
        ] as [([UInt8], Int)])
    func failsFast(bytes: [UInt8], offset: Int) {
        #expect(refusal(bytes, pieces: 1) == offset)
        #expect(refusal(Array(bytes[..<offset]), pieces: 1) == nil)
    }

    @Test("a bad or a two-byte character is found at every place of a long ASCII text")
    func words() {
        for length in 0..<80 {
            for place in 0..<length {
                var bytes = [UInt8](repeating: 0x61, count: length)
                bytes[place] = 0xFF
                #expect(!accepts(bytes, pieces: 100))
                bytes[place] = 0xC3
                bytes.insert(0xA4, at: place + 1)
                #expect(accepts(bytes, pieces: 100))
                #expect(accepts(bytes, pieces: 7))
            }
        }
    }

    @Test("random bytes are judged as the standard library judges them")
    func random() {
        let seed = UInt64.random(in: .min ... .max)
        print("UTF8ValidatorTests seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let leads: [UInt8] = [0x20, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF4]
        for _ in 0..<5_000 {
            let bytes = (0..<Int.random(in: 1...12, using: &generator)).map { _ in
                leads.randomElement(using: &generator) ?? 0
            }
            let isValid = String(validating: bytes, as: UTF8.self) != nil
            let size = Int.random(in: 1...12, using: &generator)
            #expect(accepts(bytes, pieces: size) == isValid, "seed \(seed), \(bytes) by \(size)")
        }
    }
}
