internal import Logging
internal import NIOConcurrencyHelpers
public import ParleyCore

/// Hears of other nodes' batches by NOTIFY: one connection and one channel for the whole node.
///
/// What a notification may have missed is found three ways: everything is read after LISTEN, a heartbeat compares the
/// numbers of batches, and now and then all local rooms are compared with the database.
public struct NotifyFeed: ChangeFeed {
    private let store: PostgresRoomStore
    private let localRooms: @Sendable () -> [RoomNumber]
    private let observer: (any ConnectionObserver)?

    /// Against what nobody thought of. Each time a random part more or less, so that nodes spread.
    static let sweepEvery = Duration.seconds(30)
    static let sweepJitter = 0.2

    /// - Parameter localRooms: Those with members on this node. Called from any thread.
    public init(
        store: PostgresRoomStore, observer: (any ConnectionObserver)? = nil,
        localRooms: @escaping @Sendable () -> [RoomNumber]
    ) {
        self.store = store
        self.observer = observer
        self.localRooms = localRooms
    }

    public func run(_ sink: @escaping @Sendable (FeedEvent) -> Void) async {
        let watch = NIOLockedValueBox(BatchWatch())
        let ended = EndedMemberships(store: store, localRooms: localRooms, sink: sink)
        let keys = ChannelKeys(store: store)
        let listener = NIOLockedValueBox<NotificationConnection?>(nil)
        let ear = FeedEar(store: store, observer: observer) { listener.withLockedValue { $0 } }
        let connection = NotificationConnection(
            url: store.configuration.listenURL ?? store.configuration.url, channel: Announcement.channel,
            settings: store.configuration.connection, logger: store.logger, observer: observer,
            greeting: { [store] greeter throws(PostgresError) in
                try store.timeline.check(greeter, role: NotificationLoop.role)
            },
            onListening: {
                ear.listening()
                watch.withLockedValue { $0.listening() }
                sink(.resync)
            },
            onNotification: { [store] sent, _ in
                let payload: [UInt8]
                let isSealed: Bool
                switch store.channelSeal.open(sent) {
                case nil: (payload, isSealed) = (sent, false)
                case .text(let text): (payload, isSealed) = (text, true)
                case .unknownKey: return keys.lookSoon()
                case .foreign:
                    return store.logger.debug("a notification on the channel parley is not sealed by a node")
                }
                if isSealed, let notice = SignalNotice(payload: payload) {
                    if !store.isOwn(writer: notice.writer) { sink(.signals(notice.signals)) }
                    return
                }
                guard let announcement = Announcement(payload: payload) else {
                    return store.logger.debug("a notification on the channel parley is neither of a node nor of SQL")
                }
                guard !store.isOwn(writer: announcement.writer) else { return ear.heardOwn() }
                if announcement.writer != Announcement.sqlWriter {
                    watch.withLockedValue { $0.announced(announcement.batch, by: announcement.writer, at: .now) }
                }
                if isSealed, !announcement.takeUps.isEmpty { sink(.takenUp(announcement.takeUps)) }
                guard announcement.ended.isEmpty else { return ended.heard(announcement) }
                if !announcement.pointers.isEmpty { sink(.pointers(announcement.pointers)) }
            })
        listener.withLockedValue { $0 = connection }
        store.timeline.follow(NotificationLoop.role) { [weak connection] in connection?.reconnect() }
        store.onRemoved { sink(.ended($0)) }
        store.reaper.onCleared { if !$0.isEmpty { sink(.pointers($0)) } }
        connection.start()
        await withDiscardingTaskGroup { group in
            group.addTask { await followHeartbeat(watch, sink) }
            group.addTask { await sweep(sink) }
            group.addTask { await ear.run() }
            group.addTask { await ended.run() }
            group.addTask { await keys.run() }
        }
        listener.withLockedValue { $0 = nil }
        await connection.close()
    }

    private func followHeartbeat(
        _ watch: NIOLockedValueBox<BatchWatch>, _ sink: @Sendable (FeedEvent) -> Void
    ) async {
        for await beat in store.heartbeat.beats() {
            watch.withLockedValue { $0.committed(beat.writers, at: .now) }
            do { try await Task.sleep(for: BatchWatch.grace) } catch { return }
            guard watch.withLockedValue({ $0.isOverdue(at: .now) }) else { continue }
            store.logger.debug("a batch was not announced: reading all local rooms")
            sink(.resync)
        }
    }

    private func sweep(_ sink: @Sendable (FeedEvent) -> Void) async {
        while true {
            let factor = Double.random(in: 1 - Self.sweepJitter...1 + Self.sweepJitter)
            do { try await Task.sleep(for: Self.sweepEvery * factor) } catch { return }
            await HeadPages(store: store, rooms: localRooms()).send(to: sink)
        }
    }
}

extension PostgresRoomStore {
    func isOwn(writer: Int64) -> Bool {
        registration.current?.writers.values.contains(writer) ?? false
    }
}
