internal import Crypto
internal import Foundation
internal import NIOConcurrencyHelpers
internal import ParleyCore

/// Seals what only nodes may say and hear on the channel: PostgreSQL lets every role of the database listen and notify there.
/// `=<key> <base64 of nonce, text and tag>`, by ChaCha20-Poly1305 (RFC 8439) under a key that is derived from the one that signs
/// session tokens.
///
/// Places that are announced without it are hints: whoever hears one looks at the tables.
final class ChannelSeal: Sendable {
    enum Opened: Equatable {
        case text([UInt8])
        /// Signed by a key that this node has not read yet.
        case unknownKey
        /// By nobody who has a key, or said again too long after.
        case foreign
    }

    /// Of a text, so that it fits one notification when it is sealed.
    static let bytesMax = 5_800
    /// What was heard may be said again by who heard it for so long; clocks of nodes may differ by as much.
    static let ageMax = Duration.seconds(60)
    private static let mark = UInt8(ascii: "=")
    private static let purpose = Array("parley channel".utf8)

    private struct State {
        var keys: [Int32: SymmetricKey] = [:]
        var newest: Int32?
        /// Unix time in microseconds, or one more than the last: never twice the same.
        var last: UInt64 = 0
    }

    /// Tells the nonces of this process from those of others.
    private let prefix = UInt32.random(in: .min ... .max)
    private let now: @Sendable () -> UInt64
    private let state = NIOLockedValueBox(State())

    /// - Parameter now: Unix time in microseconds.
    init(now: @escaping @Sendable () -> UInt64 = { UInt64(max(0, Date().timeIntervalSince1970 * 1e6)) }) {
        self.now = now
    }

    func know(_ keys: [SigningKey]) {
        let derived = keys.map { key in
            (
                key.number,
                HKDF<SHA256>.deriveKey(
                    inputKeyMaterial: SymmetricKey(data: key.bytes), info: Self.purpose, outputByteCount: 32)
            )
        }
        state.withLockedValue { state in
            state.keys = Dictionary(derived) { first, _ in first }
            state.newest = state.keys.keys.max()
        }
    }

    /// nil before a key is known: nobody is told then, and others find out by asking.
    func seal(_ text: [UInt8]) -> String? {
        let (number, key, sequence) = state.withLockedValue { state in
            state.last = max(state.last + 1, now())
            return (state.newest, state.newest.flatMap { state.keys[$0] }, state.last)
        }
        guard let number, let key, text.count <= Self.bytesMax else { return nil }
        var nonce: [UInt8] = []
        withUnsafeBytes(of: prefix.bigEndian) { nonce += $0 }
        withUnsafeBytes(of: sequence.bigEndian) { nonce += $0 }
        // Neither can fail: the nonce has its twelve bytes, and the text is short.
        guard let nonce = try? ChaChaPoly.Nonce(data: nonce),
            let box = try? ChaChaPoly.seal(text, using: key, nonce: nonce)
        else { return nil }
        return "=\(number) \(box.combined.base64EncodedString())"
    }

    /// nil for what is not sealed at all.
    func open(_ payload: [UInt8]) -> Opened? {
        guard payload.first == Self.mark else { return nil }
        let parts = payload.dropFirst().split(separator: UInt8(ascii: " "), maxSplits: 1)
        guard parts.count == 2, let number = Int32(String(decoding: parts[0], as: UTF8.self)),
            let combined = Data(base64Encoded: Data(parts[1])), let box = try? ChaChaPoly.SealedBox(combined: combined)
        else { return .foreign }
        guard let key = state.withLockedValue({ $0.keys[number] }) else { return .unknownKey }
        // A wrong tag throws: whoever sealed it has not the key.
        guard let text = try? ChaChaPoly.open(box, using: key) else { return .foreign }
        let sequence = box.nonce.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let age = Swift.max(sequence, now()) - Swift.min(sequence, now())
        return .microseconds(Int64(clamping: age)) <= Self.ageMax ? .text(Array(text)) : .foreign
    }
}
