import NIOCore
import TestRandom
import Testing

@testable import ParleyWebSocket

/// Random frames against a model, and random damage against itself: where the bytes are cut must not matter.
struct FramingFuzzTests {
    private static let rounds = 600
    private static let alphabet = Array("abcdefghij0123456789 \"{}äöüß€κόσμε😀🏳️")

    private struct Script {
        var bytes: [UInt8] = []
        var messages: [WebSocketMessage] = []
    }

    private func script(bytesMax: Int, _ generator: inout SeededGenerator) -> Script {
        var script = Script()
        func frame(_ opcode: UInt8, _ payload: some Collection<UInt8>, isFinal: Bool = true) {
            let key = (0..<4).map { _ in UInt8.random(in: 0...255, using: &generator) }
            script.bytes += clientFrame(opcode, payload, isFinal: isFinal, key: key)
        }
        for _ in 0..<Int.random(in: 1...8, using: &generator) {
            let isText = Bool.random(using: &generator)
            let longest = [3, 130, 130, 300, 300, 70_000].randomElement(using: &generator) ?? 0
            let size = Int.random(in: 0...min(longest, bytesMax), using: &generator)
            let payload: [UInt8]
            if isText {
                let characters = (0..<size / 4).map { _ in Self.alphabet.randomElement(using: &generator) ?? "x" }
                payload = Array(String(characters).utf8)
            } else {
                payload = (0..<size).map { _ in UInt8.random(in: 0...255, using: &generator) }
            }
            var rest = payload[...]
            var opcode: UInt8 = isText ? 1 : 2
            for _ in 0..<Int.random(in: 0...3, using: &generator) {
                let count = Int.random(in: 0...rest.count, using: &generator)
                frame(opcode, rest.prefix(count), isFinal: false)
                rest = rest.dropFirst(count)
                opcode = 0
                if Bool.random(using: &generator) {
                    let payload = (0..<Int.random(in: 0...125, using: &generator)).map { UInt8($0) }
                    frame(9, payload)
                    script.messages.append(.ping(ByteBuffer(bytes: payload)))
                }
            }
            frame(opcode, rest)
            script.messages.append(isText ? .text(ByteBuffer(bytes: payload)) : .binary(ByteBuffer(bytes: payload)))
            if Bool.random(using: &generator) {
                frame(10, [1, 2, 3])
                script.messages.append(.pong)
            }
        }
        return script
    }

    private func cut(_ bytes: [UInt8], _ generator: inout SeededGenerator) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var start = 0
        let longest = [1, 2, 7, 100, 5000, 100_000].randomElement(using: &generator) ?? 1
        while start < bytes.count {
            let end = min(bytes.count, start + Int.random(in: 1...longest, using: &generator))
            pieces.append(Array(bytes[start..<end]))
            start = end
        }
        return pieces
    }

    @Test("random messages, fragments and pings come out as the model says, wherever the bytes are cut")
    func model() {
        let seed = UInt64.random(in: .min ... .max)
        print("FramingFuzzTests.model seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for round in 0..<Self.rounds / 12 {
            let script = script(bytesMax: 70_000, &generator)
            let result = outcome(of: cut(script.bytes, &generator))
            guard result == Outcome(messages: script.messages) else {
                Issue.record("seed \(seed) round \(round): \(result)")
                return
            }
        }
    }

    @Test("damaged bytes have one outcome, wherever they are cut")
    func damage() {
        let seed = UInt64.random(in: .min ... .max)
        print("FramingFuzzTests.damage seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var violations = 0
        for round in 0..<Self.rounds {
            var bytes = script(bytesMax: 130, &generator).bytes
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &generator)
            }
            let whole = outcome(of: [bytes])
            if whole.violation != nil { violations += 1 }
            for pieces in [cut(bytes, &generator), bytes.split(by: 1)] where outcome(of: pieces) != whole {
                Issue.record("seed \(seed) round \(round): cut differently, \(outcome(of: pieces)) and \(whole)")
                return
            }
        }
        #expect(violations > Self.rounds / 10, "seed \(seed)")
    }

    @Test("pure noise ends in a violation or in nothing, never in a crash")
    func noise() {
        let seed = UInt64.random(in: .min ... .max)
        print("FramingFuzzTests.noise seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<3_000 {
            let bytes = (0..<Int.random(in: 1...40, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            #expect(outcome(of: [bytes]) == outcome(of: bytes.split(by: 1)), "seed \(seed), \(bytes)")
        }
    }
}
