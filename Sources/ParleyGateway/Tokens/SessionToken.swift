import Crypto
import Foundation
import ParleyCore

/// The signed token with which a client takes up its session on any node: `base64url(content).base64url(HMAC-SHA256)`.
///
/// Content: version 3, the number of the signing key (4 bytes, big-endian as all numbers), when it was issued (8 bytes,
/// milliseconds), the number of the socket to which it was given (8 bytes), the session's key (16 bytes), the client's id (length byte and text), the user's id (length in 2 bytes
/// and text; 0xFFFF for none).
struct SessionToken: Equatable, Sendable {
    var identity: SessionIdentity
    /// Milliseconds since the Unix epoch.
    var issuedAt: Int64
    /// The number, within its session, of the socket to which it was given.
    var socket: Int64

    init(identity: SessionIdentity, issuedAt: Int64, socket: Int64) {
        self.identity = identity
        self.issuedAt = issuedAt
        self.socket = socket
    }

    private static let version: UInt8 = 3
    private static let noUser: UInt16 = .max
    /// Longer texts are not even looked at.
    private static let lengthMax = 2_048

    /// - Parameter number: Of the key.
    func signed(with key: SymmetricKey, number: Int32) -> String {
        var content: [UInt8] = [Self.version]
        withUnsafeBytes(of: number.bigEndian) { content.append(contentsOf: $0) }
        withUnsafeBytes(of: issuedAt.bigEndian) { content.append(contentsOf: $0) }
        withUnsafeBytes(of: socket.bigEndian) { content.append(contentsOf: $0) }
        content.append(contentsOf: identity.key.bytes)
        content.append(UInt8(identity.clientID.text.utf8.count))
        content.append(contentsOf: identity.clientID.text.utf8)
        let user = identity.userID.map { Array($0.utf8.prefix(Int(Self.noUser) - 1)) }
        withUnsafeBytes(of: UInt16(user?.count ?? Int(Self.noUser)).bigEndian) { content.append(contentsOf: $0) }
        content.append(contentsOf: user ?? [])
        let mac = HMAC<SHA256>.authenticationCode(for: content, using: key)
        return "\(Base64URL.encode(content)).\(Base64URL.encode(Array(mac)))"
    }

    /// The number of the key with which the text claims to be signed; nil when it is no token.
    static func keyNumber(of text: String) -> Int32? {
        guard let content = parts(of: text)?.content, content.first == version, content.count >= 5 else { return nil }
        return content[1..<5].reduce(0) { $0 << 8 | Int32($1) }
    }

    private static func parts(of text: String) -> (content: [UInt8], mac: [UInt8])? {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard text.utf8.count <= Self.lengthMax, parts.count == 2,
            let content = Base64URL.decode(parts[0]), let mac = Base64URL.decode(parts[1])
        else { return nil }
        return (content, mac)
    }

    /// nil when the text is no token, or not signed with `key`. Compares in constant time.
    init?(_ text: String, signedWith key: SymmetricKey) {
        guard let (content, mac) = Self.parts(of: text),
            HMAC<SHA256>.isValidAuthenticationCode(mac, authenticating: content, using: key)
        else { return nil }
        var rest = content[...]
        guard rest.popFirst() == Self.version, rest.count >= 4 + 8 + 8 + SessionKey.length + 1 else { return nil }
        rest.removeFirst(4)
        issuedAt = rest.prefix(8).reduce(0) { $0 << 8 | Int64($1) }
        rest.removeFirst(8)
        socket = rest.prefix(8).reduce(0) { $0 << 8 | Int64($1) }
        rest.removeFirst(8)
        guard let sessionKey = SessionKey(Array(rest.prefix(SessionKey.length))) else { return nil }
        rest.removeFirst(SessionKey.length)
        let idLength = Int(rest.removeFirst())
        guard rest.count >= idLength + 2,
            let clientID = ClientID(String(decoding: rest.prefix(idLength), as: UTF8.self))
        else { return nil }
        rest.removeFirst(idLength)
        let userLength = rest.prefix(2).reduce(UInt16(0)) { $0 << 8 | UInt16($1) }
        rest.removeFirst(2)
        var userID: String?
        if userLength != Self.noUser {
            guard rest.count == Int(userLength) else { return nil }
            userID = String(decoding: rest, as: UTF8.self)
        }
        identity = SessionIdentity(key: sessionKey, clientID: clientID, userID: userID)
    }
}

/// Base 64 with the URL-safe alphabet and without padding (RFC 4648, section 5).
private enum Base64URL {
    static func encode(_ bytes: [UInt8]) -> String {
        String(
            Data(bytes).base64EncodedString().compactMap { character in
                switch character {
                case "+": "-"
                case "/": "_"
                case "=": nil
                default: character
                }
            })
    }

    /// nil for what `encode` does not make: of several texts that stand for the same bytes one is right.
    static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        var standard = text.map { byte in
            switch byte {
            case UInt8(ascii: "-"): UInt8(ascii: "+")
            case UInt8(ascii: "_"): UInt8(ascii: "/")
            default: byte
            }
        }
        while standard.count % 4 != 0 { standard.append(UInt8(ascii: "=")) }
        guard let bytes = Data(base64Encoded: Data(standard)).map({ Array($0) }), encode(bytes).utf8.elementsEqual(text)
        else { return nil }
        return bytes
    }
}
