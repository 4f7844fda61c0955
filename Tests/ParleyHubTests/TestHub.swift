import Logging
import NIOCore
import NIOPosix
import ParleyCore
import ParleyHub
import Testing

/// A hub over a store that the test controls, on two event loops.
struct TestHub: Sendable {
    let hub: Hub
    let store: HeldStore
    let loops: [any EventLoop]
    /// A subscription does not own its client: all live as long as the hub, and the hub as long as its loops.
    private let members = Journal<TestMember>()

    private init(hub: Hub, store: HeldStore, loops: [any EventLoop]) {
        self.hub = hub
        self.store = store
        self.loops = loops
    }

    /// Runs the hub while `body` does; nothing of it is left afterwards.
    static func with(
        store: HeldStore = HeldStore(), _ change: (inout HubSettings) -> Void = { _ in },
        _ body: @Sendable (TestHub) async throws -> Void
    ) async throws {
        var settings = HubSettings()
        settings.tick = .milliseconds(5)
        settings.backoff = Backoff(first: .milliseconds(1), max: .milliseconds(5))
        change(&settings)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let logger = Logger(label: "hub") { _ in SwiftLogNoOpLogHandler() }
        let hub = try await Hub.make(settings: settings, store: store, group: group, logger: logger)
        let test = TestHub(hub: hub, store: store, loops: Array(group.makeIterator()))
        let running = Task { await hub.run() }
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(test))
        } catch {
            result = .failure(error)
        }
        store.release()
        running.cancel()
        await running.value
        try await group.shutdownGracefully()
        withExtendedLifetime(test) {}
        try result.get()
    }

    func room(_ text: String) async throws -> RoomID {
        let id = try #require(RoomID(text))
        _ = try await store.createRoom(RoomCreation(id: id, ifMissing: true))
        return id
    }

    /// Joins a room that is made if need be.
    func join(
        _ room: String, as name: String, loop: Int = 0, after: Seq? = nil, profile: String? = nil,
        presence: Bool = true, meanwhile: () async throws -> Void = {}
    ) async throws -> TestMember {
        let id = try await self.room(room)
        let member = try await TestMember.join(
            hub, room: id, name: name, on: loops[loop], after: after, profile: profile, presence: presence,
            meanwhile: meanwhile)
        members.append(member)
        return member
    }

    func leave(_ member: TestMember) async throws {
        try await member.unsubscribe()
        try await hub.leave(Withdrawal(room: member.room, session: member.session.key))
    }
}
