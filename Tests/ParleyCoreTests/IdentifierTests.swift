import ParleyCore
import TestRandom
import Testing

@Suite("Identifiers")
struct IdentifierTests {
    @Test(
        "a room id is 1 to 64 of its alphabet",
        arguments: ["a", "Z", "0", "-", "_", "~", "...", ".a", "a.", "A-Z.0_9~z", String(repeating: "r", count: 64)])
    func valid(text: String) {
        #expect(RoomID(text)?.text == text)
        #expect(RoomID(text)?.description == text)
        #expect(ClientID(text)?.text == text)
    }

    @Test(
        "anything else is no room id",
        arguments: [
            "", ".", "..", "a b", "a/b", "a\0", "\n", "é", "e\u{301}", "\u{212A}", "a+b", "a%", "a:", "a@", "a[", "a`",
            "a{", "日", String(repeating: "r", count: 65),
        ])
    func invalid(text: String) {
        #expect(RoomID(text) == nil)
        #expect(ClientID(text) == nil)
    }

    @Test("every byte but the alphabet's is refused")
    func alphabet() {
        let allowed = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-".utf8)
        for byte in UInt8.min...0x7F {
            let text = "a" + String(decoding: [byte], as: UTF8.self)
            #expect((RoomID(text) != nil) == allowed.contains(byte), "\(byte)")
        }
    }

    @Test("random ids are valid, long enough, without look-alikes, and differ")
    func random() {
        var generator = SeededGenerator(seed: .random(in: .min ... .max))
        let rooms = (0..<200).map { _ in RoomID.random(using: &generator) }
        let clients = (0..<200).map { _ in ClientID.random(using: &generator) }
        #expect(Set(rooms).count == 200)
        #expect(Set(clients).count == 200)
        #expect(rooms.allSatisfy { $0.text.utf8.count == 12 && RoomID($0.text) == $0 })
        #expect(clients.allSatisfy { $0.text.utf8.count == 16 && ClientID($0.text) == $0 })
        let used = Set((rooms.map(\.text) + clients.map(\.text)).joined())
        #expect(used == Set("0123456789abcdefghjkmnpqrstvwxyz"))
    }

    @Test("clients are sorted by the bytes of their ids")
    func order() {
        let ids = ["-", ".a", "0", "9", "A", "Z", "_", "a", "aa", "b", "~"]
        #expect(ids.reversed().compactMap { ClientID($0) }.sorted().map(\.text) == ids)
    }

    @Test("rooms are sorted by their numbers")
    func roomNumbers() {
        #expect([3, -1, 20].map { RoomNumber($0) }.sorted().map(\.description) == ["-1", "3", "20"])
    }

    @Test("a session key is 16 bytes, no more and no fewer", arguments: [0, 15, 16, 17])
    func sessionKey(count: Int) {
        #expect((SessionKey(Array(repeating: 1, count: count)) != nil) == (count == 16))
    }

    @Test("random session keys differ")
    func randomSessionKey() {
        var generator = SeededGenerator(seed: .random(in: .min ... .max))
        let keys = (0..<50).map { _ in SessionKey.random(using: &generator) }
        #expect(Set(keys).count == 50)
        #expect(keys.allSatisfy { $0.bytes.count == SessionKey.length })
    }
}
