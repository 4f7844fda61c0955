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
            identity: SessionIdentity(key: sessionKey, clientID: clientID, userID: user), issuedAt: 1_732_350_000_123)
    }

    @Test("what was signed is read again", arguments: [nil, "", "u", "us", "ann"])
    func roundTrip(user: String?) throws {
        let token = try token(user: user)
        #expect(SessionToken(token.signed(with: key), signedWith: key) == token)
    }

    // Users of different lengths, so that the content ends with each number of spare bits.
    @Test("no other last character is taken, though it may decode to the same bytes", arguments: ["", "u", "us"])
    func canonical(user: String) throws {
        let text = try token(user: user).signed(with: key)
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
