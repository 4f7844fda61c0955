import NIOCore
import ParleyCore
import ParleyHub
import Testing

@testable import ParleyGateway

@Suite("The directory of sessions")
struct SessionDirectoryTests {
    private let ann = SessionIdentity.fresh()
    private let now = NIODeadline.now()
    private let directory = SessionDirectory()

    private func open(number: Int64?, place: UInt64) -> (SessionDirectory.SocketID, SessionDirectory.Displace?) {
        let socket = directory.makeSocketID()
        return (socket, directory.open(ann, on: socket, number: number) { Self.places(place) })
    }

    private static func places(_ number: UInt64) -> SessionDirectory.Places {
        [(SubscriptionID(number), RoomNumber(Int64(number)))]
    }

    private func ids(_ displaced: [SessionDirectory.Displace]) async -> [UInt64] {
        var ids: [UInt64] = []
        for displace in displaced { ids += await displace().map(\.subscription.value) }
        return ids
    }

    private func overtaken(by number: Int64) -> [SessionDirectory.Displace] {
        let overtaken = directory.overtaken(by: [
            SessionTakeUp(clientID: ann.clientID, number: number),
            SessionTakeUp(clientID: SessionIdentity.fresh().clientID, number: 9),
        ])
        return overtaken.map(\.displace)
    }

    @Test("a newer socket ends the older one, also one that was lost")
    func displaced() async {
        let (_, none) = open(number: 0, place: 1)
        #expect(none == nil)
        let (second, older) = open(number: nil, place: 2)
        #expect(await ids([older].compactMap(\.self)) == [1])
        #expect(directory.tookUp(ann.clientID, on: second, number: 4))
        directory.lost(ann.clientID, on: second, had: { Self.places(3) }, at: now, dueAt: now)
        let (_, lost) = open(number: nil, place: 4)
        #expect(await ids([lost].compactMap(\.self)) == [3])
        #expect(directory.lapsing(at: now, max: 10).isEmpty)
    }

    @Test("a higher number from another node ends the socket, an older or its own one does not")
    func overtaken() async {
        let (socket, _) = open(number: nil, place: 1)
        #expect(directory.tookUp(ann.clientID, on: socket, number: 4))
        #expect(overtaken(by: 3).isEmpty)
        #expect(overtaken(by: 4).isEmpty)
        #expect(await ids(overtaken(by: 5)) == [1])
        #expect(overtaken(by: 6).isEmpty)
        #expect(directory.sockets.isEmpty)
        // A session that comes back before all is evicted waits for that; afterwards there is nothing to wait for.
        let (newer, older) = open(number: nil, place: 2)
        #expect(await ids([older].compactMap(\.self)) == [1])
        directory.overtaken(ann.clientID, on: newer)
        directory.gone(ann.clientID, on: newer)
        #expect(open(number: nil, place: 3).1 == nil)
    }

    @Test(
        "a socket whose number comes after another node's is judged by the two numbers", arguments: [3, 5] as [Int64])
    func race(number: Int64) {
        let (socket, _) = open(number: nil, place: 1)
        #expect(overtaken(by: 4).isEmpty)
        #expect(directory.tookUp(ann.clientID, on: socket, number: number) == (number == 5))
        #expect(directory.sockets == (number == 5 ? [SessionSocket(session: ann.key, number: 5)] : []))
    }

    @Test("a session that lapsed is forgotten; one that came back while it was at it is not")
    func lapse() throws {
        let (socket, _) = open(number: 0, place: 1)
        directory.lost(ann.clientID, on: socket, had: { [] }, at: now, dueAt: now)
        let debt = try #require(directory.lapsing(at: now, max: 1).first)
        #expect(directory.owes(debt))
        directory.settled(debt)
        #expect(directory.sockets.isEmpty)

        let (second, _) = open(number: 1, place: 1)
        directory.lost(ann.clientID, on: second, had: { [] }, at: now, dueAt: now)
        let other = try #require(directory.lapsing(at: now, max: 1).first)
        _ = open(number: 2, place: 2)
        #expect(!directory.owes(other))
        directory.settled(other)
        #expect(directory.sockets == [SessionSocket(session: ann.key, number: 2)])
    }

    @Test("young sockets that were lost are noted once, if they have taken their session up")
    func young() {
        let (fresh, _) = open(number: 0, place: 1)
        directory.lost(ann.clientID, on: fresh, isYoung: true, had: { [] }, at: now, dueAt: now)
        let (old, _) = open(number: 3, place: 2)
        directory.lost(ann.clientID, on: old, had: { [] }, at: now, dueAt: now)
        #expect(directory.unnoted(max: 9).isEmpty)
        let (young, _) = open(number: 4, place: 3)
        for _ in 1...2 {
            directory.lost(ann.clientID, on: young, isYoung: true, had: { [] }, at: now, dueAt: now)
        }
        #expect(directory.unnoted(max: 9) == [SessionDirectory.LostYoung(session: ann.key, socket: 4, at: now)])
        #expect(directory.unnoted(max: 9).isEmpty)
    }

    @Test("what ends after its socket begins the grace anew, unless the session has a socket here")
    func endedLate() {
        let (socket, _) = open(number: nil, place: 1)
        directory.endedLate(ann, number: 1, at: now, dueAt: now)
        #expect(directory.lapsing(at: now, max: 1).isEmpty)
        directory.lost(ann.clientID, on: socket, had: { [] }, at: now, dueAt: now)
        for debt in directory.lapsing(at: now, max: 1) { directory.settled(debt) }
        directory.endedLate(ann, number: 1, at: now, dueAt: now + .seconds(1))
        #expect(directory.lapsing(at: now, max: 1).isEmpty)
        #expect(directory.lapsing(at: now + .seconds(1), max: 1).map(\.socket) == [1])
    }
}
