import Crypto
import ParleyCore
import Testing

@testable import ParleyGateway

struct SessionTokenTests {
    private let key = SymmetricKey(data: [UInt8](repeating: 7, count: 32))
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ ")

    private func token(user: String?) throws -> SessionToken {
        let sessionKey = try #require(SessionKey([UInt8](0..<16)))
        let clientID = try #require(ClientID("c1"))
        return SessionToken(
            identity: SessionIdentity(key: sessionKey, clientID: clientID, userID: user), issuedAt: 1_732_350_000_123,
            socket: 1_732_350_000_456)
    }

    @Test("what was signed is read again, and names its key", arguments: [nil, "", "u", "us", "ann"])
    func roundTrip(user: String?) throws {
        let token = try token(user: user)
        for number in [0, 1, 258, .max] as [Int32] {
            let text = token.signed(with: key, number: number)
            #expect(SessionToken(text, signedWith: key) == token)
            #expect(SessionToken(text, signedWith: SymmetricKey(size: .bits256)) == nil)
            #expect(SessionToken.keyNumber(of: text) == number)
        }
    }

    @Test("what is no token names no key", arguments: ["", ".", "..", "a.b", "AgAAAAE", "AQAAAAE.AAAA", "AgAAAA.AAAA"])
    func noToken(text: String) {
        #expect(SessionToken.keyNumber(of: text) == nil)
        #expect(SessionToken(text, signedWith: key) == nil)
    }

    // Users of different lengths, so that the content ends with each number of spare bits.
    @Test("no other last character is taken, though it may decode to the same bytes", arguments: ["", "u", "us"])
    func canonical(user: String) throws {
        let text = try token(user: user).signed(with: key, number: 1)
        let dot = try #require(text.firstIndex(of: "."))
        for place in [text.index(before: dot), text.index(before: text.endIndex)] {
            for character in Self.alphabet where character != text[place] {
                var other = text
                other.replaceSubrange(place...place, with: [character])
                #expect(SessionToken(other, signedWith: key) == nil, "\(character) for \(text[place])")
            }
        }
        for padding in ["=", "==", "\n"] { #expect(SessionToken(text + padding, signedWith: key) == nil) }
    }
}
