import Foundation
import NIOCore
import ParleyCore
import ParleyWire
import TestRandom
import Testing

/// Random JSON, whole and damaged, judged by an independent reader as well. `PARLEY_SEED` repeats a run.
@Suite("Random JSON")
struct JSONFuzzTests {
    private static let seed =
        ProcessInfo.processInfo.environment["PARLEY_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)

    private func generator(_ salt: UInt64) -> JSONGenerator {
        print("PARLEY_SEED=\(Self.seed)")
        return JSONGenerator(random: SeededGenerator(seed: Self.seed &+ salt))
    }

    private func frame(_ payload: some Sequence<UInt8>) -> [UInt8] {
        Array(#"{"method":"message","id":3,"roomId":"r","message":"#.utf8) + Array(payload) + Array("}".utf8)
    }

    /// Of the answers to a payload, those that matter here.
    private enum Judgement: Equatable {
        case accepted([UInt8])
        case notAllowed
        case notJSON
    }

    private func judge(_ frame: [UInt8]) -> Judgement {
        switch ClientFrame.read(frame) {
        case .success(let frame): .accepted(frame.request.payload ?? [])
        case .failure(let rejection):
            rejection.error.reason.hasPrefix("not a JSON object") ? .notJSON : .notAllowed
        }
    }

    private func isJSON(_ frame: [UInt8]) -> Bool {
        (try? JSONSerialization.jsonObject(with: Data(frame))) != nil
    }

    @Test("what keeps the rules is accepted, byte by byte as it was sent")
    func valid() {
        var generator = generator(1)
        for _ in 0..<1_500 {
            let payload = Array(generator.value().utf8)
            #expect(judge(frame(payload)) == .accepted(payload), "\(String(decoding: payload, as: UTF8.self))")
        }
    }

    @Test("what is damaged is JSON to both readers, or to neither")
    func damaged() {
        var generator = generator(2)
        let spare = Array("{}[]:,\"\\ue0123456789+-.tfn \n\t\u{1}x".utf8)
        for _ in 0..<4_000 {
            var bytes = Array(generator.value().utf8)
            for _ in 0..<Int.random(in: 1...3, using: &generator.random) where !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &generator.random)
                switch Int.random(in: 0..<4, using: &generator.random) {
                case 0: bytes.remove(at: index)
                case 1: bytes.insert(generator.pick(spare), at: index)
                case 2: bytes[index] = generator.pick(spare)
                default: bytes.removeSubrange(index..<min(bytes.count, index + 4))
                }
            }
            let text = frame(bytes)
            // Damage can split a character; only UTF-8 comes this far.
            guard let shown = String(validating: text, as: UTF8.self) else { continue }
            // Foundation lets a comma stand before a closing bracket, which RFC 8259 does not.
            guard shown.firstMatch(of: /,\s*[\]}]/) == nil else { continue }
            let comment = Comment(rawValue: shown)
            switch judge(text) {
            case .accepted: #expect(isJSON(text), comment)
            case .notJSON: #expect(!isJSON(text), comment)
            case .notAllowed: break
            }
        }
    }

    @Test("a number is allowed when a double can hold it and it is not too long")
    func numbers() {
        var generator = generator(3)
        for _ in 0..<2_000 {
            var number = generator.number()
            if generator.chance(1, of: 2) {
                number = number.prefix { $0 != "e" && $0 != "E" } + "e" + generator.pick(["-", "", "+"])
                number += String(generator.pick([0, 1, 299, 308, 312, 323, 324, 336, 999, 99_999]))
            }
            if generator.chance(1, of: 8) {
                number =
                    (number.hasPrefix("-") ? "-" : "")
                    + String(repeating: "7", count: generator.pick([62, 63, 64, 65]))
            }
            let value = strtod(number, nil)
            let isZero = number.prefix { $0 != "e" && $0 != "E" }.allSatisfy { "-0.".contains($0) }
            let isAllowed = value.isFinite && (value != 0 || isZero) && number.count <= 64
            let expected = isAllowed ? Judgement.accepted(Array(number.utf8)) : .notAllowed
            #expect(judge(frame(number.utf8)) == expected, "\(number)")
        }
    }

    @Test("escapes are allowed unless they break a pair or name U+0000")
    func escapes() {
        var generator = generator(4)
        let units: [UInt16] = [0, 1, 0x41, 0xD7FF, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xE000, 0xFFFF]
        for _ in 0..<2_000 {
            let text = (0..<Int.random(in: 1...5, using: &generator.random)).map { _ in generator.pick(units) }
            let payload =
                "\"" + text.map { "\\u" + hexadecimal($0, isUpper: generator.chance(1, of: 2)) }.joined() + "\""
            let isAllowed = !text.contains(0) && String(validating: text, as: UTF16.self) != nil
            let expected = isAllowed ? Judgement.accepted(Array(payload.utf8)) : .notAllowed
            #expect(judge(frame(payload.utf8)) == expected, "\(payload)")
        }
    }

    private func hexadecimal(_ unit: UInt16, isUpper: Bool) -> String {
        let digits = String(unit, radix: 16, uppercase: isUpper)
        return String(repeating: "0", count: 4 - digits.count) + digits
    }

    @Test("nesting counts to 100, whatever the brackets")
    func nesting() {
        var generator = generator(5)
        for _ in 0..<200 {
            let depth = generator.pick([1, 63, 64, 65, 99, 100, 101, 127, 128, 129, 300])
            let kinds = (0..<depth).map { _ in generator.chance(1, of: 2) }
            let payload =
                kinds.map { $0 ? "{\"k\":" : "[0," }.joined() + "1" + kinds.reversed().map { $0 ? "}" : "]" }.joined()
            let expected = depth <= 100 ? Judgement.accepted(Array(payload.utf8)) : .notAllowed
            #expect(judge(frame(payload.utf8)) == expected, "depth \(depth)")
        }
    }

    @Test("bytes that are no UTF-8 crash nothing, and what is answered is JSON")
    func noise() throws {
        var generator = generator(6)
        for _ in 0..<2_000 {
            var bytes = frame(generator.value().utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator.random) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator.random)] = UInt8.random(
                    in: 0...255, using: &generator.random)
            }
            if generator.chance(1, of: 4) {
                bytes.removeLast(Int.random(in: 0..<bytes.count, using: &generator.random))
            }
            guard case .failure(let rejection) = ClientFrame.read(bytes) else { continue }
            let answer = ServerFrame.error(rejection.error, id: rejection.id, roomID: rejection.roomID)
            let read = try JSONValue(answer.readableBytesView)
            #expect(read["code"] == .string(rejection.error.code.rawValue))
        }
    }
}
