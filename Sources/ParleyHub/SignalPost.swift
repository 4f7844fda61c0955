import NIOConcurrencyHelpers
import NIOCore
import ParleyCore

/// Brings this node's signals to the other nodes: once per tick, the newest of each, and only as much as is worth it.
final class SignalPost: Sendable {
    /// Rooms in one tick; the signals of further ones are dropped.
    private static let roomsMax = 1_000

    private struct State {
        var waiting: [RoomNumber: PendingSignals] = [:]
        var isScheduled = false
    }

    private let state = NIOLockedValueBox(State())
    private let store: any RoomStore
    private let tick: TimeAmount
    private let loop: any EventLoop

    init(store: any RoomStore, tick: TimeAmount, loop: any EventLoop) {
        self.store = store
        self.tick = tick
        self.loop = loop
    }

    func add(_ signal: Signal, to room: RoomNumber) {
        let isFirst = state.withLockedValue { state in
            guard state.waiting[room] != nil || state.waiting.count < Self.roomsMax else { return false }
            state.waiting[room, default: PendingSignals()].add(signal)
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        guard isFirst else { return }
        loop.scheduleTask(in: tick) { self.send() }
    }

    private func send() {
        let rooms = state.withLockedValue { state in
            defer { state = State() }
            return state.waiting
        }
        store.send(
            rooms.map { room, pending in
                var pending = pending
                return RoomSignals(room: room, signals: pending.take())
            })
    }
}
