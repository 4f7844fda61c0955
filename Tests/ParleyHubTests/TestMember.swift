import Foundation
import NIOConcurrencyHelpers
import NIOCore
import ParleyCore
import ParleyHub
import TestRandom
import Testing

/// What a client got.
struct TestFrame: Sendable {
    struct Content: Decodable {
        struct State: Decodable {
            struct Change: Decodable {
                var message: String?
            }
            var from: Seq
            var to: Seq
            var changes: [Change]
            var reset: Bool?
        }
        struct Entry: Decodable { var clientId: String }
        var method: String
        var id: Int64?
        var code: String?
        var roomId: String?
        var count: Int?
        var joined: [Entry]?
        var left: [String]?
        var clients: [Entry]?
        var state: State?
    }

    let content: Content?
    let bytes: Int
    let isShared: Bool
    /// Where its bytes lie: the same for frames that share them.
    let address: UInt

    init(_ buffer: ByteBuffer, isShared: Bool) {
        content = try? JSONDecoder().decode(Content.self, from: Data(buffer.readableBytesView))
        bytes = buffer.readableBytes
        self.isShared = isShared
        address = buffer.withUnsafeReadableBytes { UInt(bitPattern: $0.baseAddress) }
    }

    var messages: [String] { content?.state?.changes.map { $0.message ?? "" } ?? [] }
}

/// A client of the hub, without a socket. Its own things live on its event loop.
final class TestMember: Sendable {
    private final class Sink: FrameSink {
        let journal: Journal<TestFrame>
        /// Buffers are kept, so that no two have the same place one after the other.
        private var kept: [ByteBuffer] = []
        var isCongested = false
        var isEnded = false
        var isTakenOver = false

        init(journal: Journal<TestFrame>) { self.journal = journal }

        func send(_ frame: ByteBuffer) { take(frame, isShared: false) }
        func send(shared: ByteBuffer) { take(shared, isShared: true) }
        func endForFlood() { isEnded = true }
        func endForTakeover() { isTakenOver = true }
        func endMembership(of subscription: Subscription, by ended: EndedMembership) { isEnded = true }
        func endForRestart() { isEnded = true }

        private func take(_ buffer: ByteBuffer, isShared: Bool) {
            kept.append(buffer)
            journal.append(TestFrame(buffer, isShared: isShared))
        }
    }

    let session: SessionIdentity
    let roomID: RoomID
    let room: RoomNumber
    /// Where the client stood after its join.
    let start: Seq
    /// How many members its join counted.
    let count: Int
    let subscriptionID: SubscriptionID
    let frames: Journal<TestFrame>
    let loop: any EventLoop
    private let own: NIOLoopBound<(shard: HubShard, subscription: Subscription, sink: Sink)>

    private init(
        session: SessionIdentity, admission: Admission, roomID: RoomID, frames: Journal<TestFrame>,
        loop: any EventLoop, own: NIOLoopBound<(shard: HubShard, subscription: Subscription, sink: Sink)>,
        subscriptionID: SubscriptionID
    ) {
        self.session = session
        self.roomID = roomID
        room = admission.enrolled.room
        start = admission.snapshot.end.seq
        count = admission.count
        self.frames = frames
        self.loop = loop
        self.own = own
        self.subscriptionID = subscriptionID
    }

    /// `meanwhile` happens when the join is decided and the client not subscribed yet.
    static func join(
        _ hub: Hub, room: RoomID, name: String, on loop: any EventLoop, after: Seq?, profile: String? = nil,
        presence: Bool = true, meanwhile: () async throws -> Void = {}
    ) async throws -> TestMember {
        var random = SeededGenerator(seed: .random(in: .min ... .max))
        let session = SessionIdentity(key: .random(using: &random), clientID: try #require(ClientID(name)))
        let admission = try await hub.join(
            Enrollment(room: room, session: session, profile: profile.map { Array($0.utf8) }),
            want: after.map { .after(.seq($0)) } ?? .recent(0), loop: loop, isRepeat: false)
        try await meanwhile()
        let frames = Journal<TestFrame>()
        return try await loop.submit {
            let shard = try #require(hub.shard(on: loop))
            let sink = Sink(journal: frames)
            let subscription = shard.subscribe(
                clientID: session.clientID, roomID: room, enrolled: admission.enrolled, sink: sink)
            subscription.wantsPresence = presence
            shard.resume(subscription, after: admission.snapshot.end.seq, rosterSeq: admission.rosterSeq)
            return TestMember(
                session: session, admission: admission, roomID: room, frames: frames, loop: loop,
                own: NIOLoopBound((shard, subscription, sink), eventLoop: loop), subscriptionID: subscription.id)
        }.get()
    }

    /// Joins again on the same socket. `meanwhile` happens when the join is decided and its reply is not sent yet.
    func joinAgain(_ hub: Hub, meanwhile: () async throws -> Void) async throws {
        try await loop.submit { self.own.value.shard.suspend(self.own.value.subscription) }.get()
        let admission = try await hub.join(
            Enrollment(room: roomID, session: session), want: .recent(0), loop: loop, isRepeat: true)
        try await meanwhile()
        try await loop.submit {
            let (shard, subscription, _) = self.own.value
            subscription.rejoined(admission.enrolled)
            shard.resume(subscription, after: admission.snapshot.end.seq, rosterSeq: admission.rosterSeq)
        }.get()
    }

    /// Members as they were at this place of the roster are told to the client.
    func toldMembers(at rosterSeq: Int64) async throws {
        try await loop.submit { self.own.value.shard.toldMembers(self.own.value.subscription, at: rosterSeq) }.get()
    }

    /// The same, with a page asked for just before.
    func toldMembersBehindPage(at rosterSeq: Int64) async throws {
        try await loop.submit {
            let (shard, subscription, _) = self.own.value
            shard.resume(subscription, after: self.start, rosterSeq: subscription.rosterSeq)
            shard.toldMembers(subscription, at: rosterSeq)
        }.get()
    }

    /// Sends a message as a gateway does. Returns what the ledger says of the id.
    @discardableResult
    func send(_ message: String, id: Int64? = nil) async throws -> Ledger.Verdict {
        try await loop.submit { self.sendHere(message, id: id) }.get()
    }

    /// Several at once: nothing comes between them.
    func send(_ messages: [(message: String, id: Int64)]) async throws {
        try await loop.submit { for (message, id) in messages { self.sendHere(message, id: id) } }.get()
    }

    @discardableResult
    private func sendHere(_ message: String, id: Int64?) -> Ledger.Verdict {
        let (shard, subscription, _) = own.value
        if let id {
            let verdict = subscription.received(id)
            guard verdict == .submit else { return verdict }
        }
        let idText = id.map { ",\"id\":\($0)" } ?? ""
        let change = "{\"clientId\":\"\(session.clientID.text)\"\(idText),\"message\":\"\(message)\"}"
        guard !shard.submit(Array(change.utf8), request: id, of: subscription) else { return .submit }
        if let id { subscription.notTaken(id) }
        return .refuse(RequestError(.unavailable, "the queue is full"))
    }

    func marks() async throws -> Marks { try await loop.submit { self.own.value.subscription.marks }.get() }

    /// The socket takes no more, or takes more again.
    func congest(_ isCongested: Bool) async throws {
        try await loop.submit {
            let (shard, subscription, sink) = self.own.value
            sink.isCongested = isCongested
            if !isCongested { shard.sinkDrained(subscription) }
        }.get()
    }

    /// The socket takes more again; and before the page that is asked for then has come, a join answers up to `seq`.
    func congestionEndsAndJoinAnswers(_ seq: Seq) async throws {
        try await loop.submit {
            let (shard, subscription, sink) = self.own.value
            sink.isCongested = false
            shard.sinkDrained(subscription)
            shard.suspend(subscription)
            shard.resume(subscription, after: seq, rosterSeq: subscription.rosterSeq)
        }.get()
    }

    /// Waits until the hub has ended the socket because the session goes on elsewhere.
    func isTakenOver() async throws {
        while !Task.isCancelled {
            if try await loop.submit({ self.own.value.sink.isTakenOver }).get() { return }
            await Task.yield()
        }
    }

    /// Waits until what the room broadcasts reaches the client directly.
    func isLive() async throws {
        while !Task.isCancelled {
            let isLive = try await loop.submit {
                guard case .live = self.own.value.subscription.flow else { return false }
                return true
            }.get()
            if isLive { return }
            await Task.yield()
        }
    }

    func unsubscribe() async throws {
        try await loop.submit { self.own.value.shard.unsubscribe(self.own.value.subscription) }.get()
    }

    // MARK: - What it got

    /// Waits until so many changes were seen; checks that they follow each other from the place of the join on.
    @discardableResult
    func changes(_ count: Int, sourceLocation: SourceLocation = #_sourceLocation) async -> [String] {
        let frames = await frames.wait { $0.reduce(0) { $0 + $1.messages.count } >= count }
        var end = start
        for state in frames.compactMap({ $0.content?.state }) {
            #expect(state.from == end + 1, "no hole and no repeat", sourceLocation: sourceLocation)
            end = state.to
        }
        let changes = frames.flatMap(\.messages)
        #expect(changes.count >= count, sourceLocation: sourceLocation)
        return changes
    }

    /// Waits for so many errors and returns their codes and ids.
    func errors(_ count: Int) async -> [(code: String, id: Int64?)] {
        let frames = await frames.wait { $0.count { $0.content?.method == "error" } >= count }
        return frames.compactMap { frame in frame.content?.code.map { ($0, frame.content?.id) } }
    }

    /// Everybody of whom it was told that they came.
    var joined: [String] { frames.entries.flatMap { $0.content?.joined?.map(\.clientId) ?? [] } }
    /// Everybody of whom it was told that they went.
    var left: [String] { frames.entries.flatMap { $0.content?.left ?? [] } }

    var updates: [TestFrame] { frames.entries.filter { $0.content?.method == "update" } }
}
