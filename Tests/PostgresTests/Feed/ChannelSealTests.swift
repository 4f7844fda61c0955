import Foundation
import NIOConcurrencyHelpers
import ParleyCore
import TestPostgres
import TestRoomStore
import Testing

@testable import ParleyPostgres

/// Every role of a database may LISTEN and NOTIFY on every channel.
@Suite("What only nodes may say", .heavy)
struct ChannelSealTests {
    private static let key = SigningKey(number: 3, bytes: Array(repeating: 7, count: 32))
    private let text = Array("12:4 @ann:9 with \"anything\" in it 🦜".utf8)

    private func seal(_ keys: [SigningKey] = [key], at seconds: Double = 1_000) -> ChannelSeal {
        let seal = ChannelSeal { UInt64(seconds * 1e6) }
        seal.know(keys)
        return seal
    }

    @Test("who has the key reads it, and nobody else")
    func roundTrip() throws {
        let sealed = Array(try #require(seal().seal(text)).utf8)
        #expect(seal().open(sealed) == .text(text))
        #expect(seal([SigningKey(number: 3, bytes: Array(repeating: 8, count: 32))]).open(sealed) == .foreign)
        #expect(seal([]).open(sealed) == .unknownKey)
        #expect(seal([]).seal(text) == nil)
        #expect(!String(decoding: sealed, as: UTF8.self).contains("ann"))
    }

    @Test("the newest key seals; older ones still open")
    func rotation() throws {
        let newer = SigningKey(number: 4, bytes: Array(repeating: 9, count: 32))
        let sealed = Array(try #require(seal([newer, Self.key]).seal(text)).utf8)
        #expect(sealed.starts(with: "=4 ".utf8))
        #expect(seal([Self.key]).open(sealed) == .unknownKey)
        let older = Array(try #require(seal().seal(text)).utf8)
        #expect(seal([newer, Self.key]).open(older) == .text(text))
    }

    @Test("one bit changed, or said again later: it is nobody's", arguments: 0..<40)
    func tampered(place: Int) throws {
        var sealed = Array(try #require(seal().seal(text)).utf8)
        sealed[3 + place] = sealed[3 + place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
        #expect(seal().open(sealed) == .foreign)
    }

    @Test("it counts for a minute, by clocks that differ by less")
    func age() throws {
        let sealed = Array(try #require(seal(at: 1_000).seal(text)).utf8)
        for (seconds, isHeard) in [(941.0, true), (1_059, true), (939, false), (1_061, false)] {
            #expect(seal(at: seconds).open(sealed) == (isHeard ? .text(text) : .foreign), "\(seconds)")
        }
    }

    @Test(
        "what is not sealed is told apart",
        arguments: ["", "1:2 3:4:5", "~1 2", "=", "=3", "=3 ", "=x AAAA", "=3 AAAA"])
    func plain(text: String) {
        let opened = seal().open(Array(text.utf8))
        #expect(opened == (text.hasPrefix("=") ? .foreign : nil))
    }

    @Test("the longest text fits one notification, and no nonce comes twice")
    func sizes() throws {
        let seal = seal()
        let long = Array(repeating: UInt8(ascii: "x"), count: ChannelSeal.bytesMax)
        #expect(try #require(seal.seal(long)).utf8.count < 8_000)
        #expect(seal.seal(long + [0]) == nil)
        let sealed = Set((0..<1_000).compactMap { _ in seal.seal(text) })
        #expect(sealed.count == 1_000)
    }

    @Test(
        "a role without any right ends no socket and no membership, and speaks and hears for nobody, by the channel alone"
    )
    func forged() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore("n1") { own in
                try await database.withStore("n2") { other in
                    let rooms = try await own.makeRooms(1)
                    _ = try await own.enroll(join("r1", "ann"))
                    let heard = NIOLockedValueBox<[FeedEvent]>([])
                    let feed = Task {
                        await NotifyFeed(store: own, localRooms: { rooms }).run { event in
                            heard.withLockedValue { $0.append(event) }
                        }
                    }
                    try await waitUntil { !heard.withLockedValue { $0.isEmpty } }
                    let room = rooms[0].value
                    for payload in [
                        "0:0 -\(room):99:*", "0:0 -\(room):99:ann", "9:9 @ann:999",
                        #"~9 \#(room) 16:1:"clientId":"ann"7"#,
                    ] {
                        try await database.query("SELECT pg_notify('parley', $1::text)", [.text(payload)])
                    }
                    other.send([
                        RoomSignals(
                            room: rooms[0],
                            signals: [Signal(head: Array(#""clientId":"bob""#.utf8), payload: Array("1".utf8))])
                    ])
                    _ = try await other.takeUp(identity("bob"))
                    try await database.query("SELECT parley.remove_member('r1', 'ann')")
                    try await waitUntil {
                        heard.withLockedValue { events in
                            events.contains { if case .ended = $0 { true } else { false } }
                                && events.contains { if case .signals = $0 { true } else { false } }
                                && events.contains { if case .takenUp = $0 { true } else { false } }
                        }
                    }
                    for event in heard.withLockedValue({ $0 }) {
                        switch event {
                        case .ended(let ended):
                            #expect(
                                ended == [EndedMembership(room: rooms[0], claim: 1, clientID: identity("ann").clientID)]
                            )
                        case .signals(let signals): #expect(signals.signals.map(\.payload) == [Array("1".utf8)])
                        case .takenUp(let takeUps): #expect(takeUps.map(\.clientID) == [identity("bob").clientID])
                        case .pointers, .resync: break
                        }
                    }
                    feed.cancel()
                    await feed.value
                }
            }
        }
    }
}
