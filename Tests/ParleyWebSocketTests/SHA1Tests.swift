import Testing

@testable import ParleyWebSocket

struct SHA1Tests {
    /// RFC 3174 section 7.3: the text, and how often it is repeated.
    static let vectors: [(String, Int, String)] = [
        ("abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        ),
        ("a", 1_000_000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
        (
            "0123456701234567012345670123456701234567012345670123456701234567", 10,
            "dea356a2cddd90c7a7ecedc5ebb563934f460452"
        ),
        ("", 1, "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    ]

    @Test("the RFC's vectors give the RFC's digests", arguments: vectors)
    func digest(text: String, count: Int, hex: String) {
        let digest = SHA1.digest(of: Array(String(repeating: text, count: count).utf8))
        #expect(digest.count == SHA1.digestBytes)
        let digits = digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(digits == hex)
    }

    @Test("base64 pads one, two and no bytes")
    func base64() {
        #expect(Base64.encode([]) == "")
        #expect(Base64.encode(Array("f".utf8)) == "Zg==")
        #expect(Base64.encode(Array("fo".utf8)) == "Zm8=")
        #expect(Base64.encode(Array("foo".utf8)) == "Zm9v")
        #expect(Base64.encode(Array("foob".utf8)) == "Zm9vYg==")
        #expect(Base64.encode([0xFB, 0xFF, 0xFE]) == "+//+")
    }
}
