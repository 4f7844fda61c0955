package import Logging
import NIOConcurrencyHelpers
package import NIOCore
package import ParleyCore

/// All rooms of this node: brings together the store, the writer, the reader and the shards, one for each event loop.
///
/// A room has its home on one loop; its members' sockets may be on all of them. What the home says goes to each loop
/// that has members, in order, and there to each socket.
package final class Hub: Sendable {
    package let settings: HubSettings
    package let store: any RoomStore
    let writer: Writer
    let reader: Reader
    let signalPost: SignalPost
    private let logger: Logger
    private let observer: @Sendable (HubEvent) -> Void
    private let loops: [any EventLoop]
    private let shards: [NIOLoopBoundBox<HubShard?>]
    private let mailboxes: [Mailbox<Delivery>]
    private let writerExecutor: EventLoopTaskExecutor
    private let readerExecutor: EventLoopTaskExecutor
    private let openRooms = NIOLockedValueBox<Set<RoomNumber>>([])

    /// - Parameter group: the sockets' event loops; each gets a shard.
    package static func make(
        settings: HubSettings, store: any RoomStore, group: any EventLoopGroup, logger: Logger,
        observer: @escaping @Sendable (HubEvent) -> Void = { _ in }
    ) async throws -> Hub {
        let hub = Hub(
            settings: settings, store: store, loops: Array(group.makeIterator()), logger: logger, observer: observer)
        for (index, loop) in hub.loops.enumerated() {
            try await loop.submit { hub.shards[index].value = HubShard(index: index, loop: loop, hub: hub) }.get()
        }
        hub.writer.report(to: hub)
        hub.reader.report(to: hub)
        return hub
    }

    private init(
        settings: HubSettings, store: any RoomStore, loops: [any EventLoop], logger: Logger,
        observer: @escaping @Sendable (HubEvent) -> Void
    ) {
        let (writerLoop, readerLoop) = (loops[0], loops[loops.count - 1])
        writerExecutor = EventLoopTaskExecutor(writerLoop)
        readerExecutor = EventLoopTaskExecutor(readerLoop)
        self.settings = settings
        self.store = store
        self.loops = loops
        self.logger = logger
        self.observer = observer
        writer = Writer(
            store: store, patience: settings.patience, rhythm: settings.rhythm, loop: writerLoop, logger: logger)
        reader = Reader(
            store: store, rhythm: settings.rhythm, backoff: settings.backoff, loop: readerLoop, logger: logger)
        signalPost = SignalPost(store: store, tick: settings.tick, loop: readerLoop)
        let shards = loops.map { NIOLoopBoundBox<HubShard?>.makeEmptyBox(eventLoop: $0) }
        self.shards = shards
        mailboxes = zip(loops, shards).map { loop, shard in
            Mailbox(loop: loop) { shard.value?.deliver($0) }
        }
    }

    /// Runs until the task is cancelled. Nothing is written or read without it.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask(executorPreference: writerExecutor) { await self.writer.run() }
            group.addTask(executorPreference: readerExecutor) { await self.reader.run() }
        }
    }

    /// The shard of a socket's own loop; to be called, and used, there.
    package func shard(on loop: any EventLoop) -> HubShard? {
        index(of: loop).flatMap { shards[$0].value }
    }

    /// The rooms that have a home here, or are about to.
    package var localRooms: [RoomNumber] { openRooms.withLockedValue { Array($0) } }
    package var localRoomCount: Int { openRooms.withLockedValue(\.count) }
    package var bytesWaitingToBeWritten: Int { writer.waitingBytes }

    /// What the feed says of the rooms of all nodes.
    package func received(_ event: FeedEvent) {
        switch event {
        case .pointers(let pointers):
            let local = openRooms.withLockedValue { open in pointers.filter { open.contains($0.room) } }
            guard !local.isEmpty else { return }
            onHomes(of: local, by: \.room) { $0.announced($1) }
        case .takenUp: break
        case .ended(let memberships):
            let local = openRooms.withLockedValue { open in memberships.filter { open.contains($0.room) } }
            guard !local.isEmpty else { return }
            for index in loops.indices { onShard(index) { $0.ended(local) } }
        case .signals(let signals):
            guard openRooms.withLockedValue({ $0.contains(signals.room) }) else { return }
            onHome(of: signals.room) { $0.signalled(signals) }
        case .resync:
            for index in loops.indices { onShard(index) { $0.resync() } }
        }
    }

    // MARK: - For the shards

    var loopCount: Int { loops.count }

    func observe(_ event: HubEvent) { observer(event) }

    func post(_ delivery: Delivery, to loop: Int) { mailboxes[loop].post(delivery) }

    func release(_ room: RoomNumber, loop: Int) {
        onHome(of: room) { $0.release(room, for: loop) }
    }

    /// From before the store is read for the home: what is announced from then on must reach it.
    func homeExpected(_ room: RoomNumber) { _ = openRooms.withLockedValue { $0.insert(room) } }
    func homeClosed(_ room: RoomNumber) { _ = openRooms.withLockedValue { $0.remove(room) } }

    // MARK: - Reaching the loops

    func index(of loop: any EventLoop) -> Int? { loops.firstIndex { $0 === loop } }

    func onHome(of room: RoomNumber, _ body: @escaping @Sendable (HubShard) -> Void) {
        onShard(homeIndex(of: room), body)
    }

    func onShard(_ index: Int, _ body: @escaping @Sendable (HubShard) -> Void) {
        let shard = shards[index]
        loops[index].execute { if let shard = shard.value { body(shard) } }
    }

    /// Asks the home's loop. Returns nil only while the node shuts down.
    func askHome<Answer: Sendable>(
        of room: RoomNumber, _ body: @escaping @Sendable (HubShard) -> Answer
    ) async -> Answer? {
        let shard = shards[homeIndex(of: room)]
        return await withCheckedContinuation { continuation in
            loops[homeIndex(of: room)].execute { continuation.resume(returning: shard.value.map(body)) }
        }
    }

    func onHomes<Element: Sendable>(
        of elements: [Element], by room: (Element) -> RoomNumber,
        _ body: @escaping @Sendable (HubShard, [Element]) -> Void
    ) {
        for (index, elements) in Dictionary(grouping: elements, by: { homeIndex(of: room($0)) }) {
            onShard(index) { body($0, elements) }
        }
    }

    private func homeIndex(of room: RoomNumber) -> Int {
        Int(UInt64(bitPattern: room.value) % UInt64(loops.count))
    }
}
