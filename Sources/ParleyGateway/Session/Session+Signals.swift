import NIOCore
import ParleyCore
import ParleyHub

/// What a member shows for a moment. Too much of it waits, the newest of each kind; so what is shown last is seen,
/// however fast it came.
extension Session {
    /// Kinds, of all rooms together. One more is dropped.
    private static let heldMax = 64
    /// Before it is looked again whether one may be shown.
    private static let heldPause = TimeAmount.milliseconds(20)

    func show(_ signal: Signal, in subscription: Subscription) {
        guard heldSignals.isEmpty, signalRate.take(at: .now()) else { return hold(signal, in: subscription.roomID) }
        shard.signal(signal, from: subscription)
    }

    private func hold(_ signal: Signal, in room: RoomID) {
        let isNew = heldSignals[room]?[signal.head] == nil
        guard !isNew || heldSignals.values.reduce(0, { $0 + $1.count }) < Self.heldMax else { return }
        if heldSignals.isEmpty { lookAgain() }
        heldSignals[room, default: [:]][signal.head] = signal
    }

    private func lookAgain() {
        loop.assumeIsolated().scheduleTask(in: Self.heldPause) { [weak self] in self?.showHeld() }
    }

    private func showHeld() {
        guard !hasEnded else { return }
        for (room, signals) in heldSignals {
            for (head, signal) in signals {
                guard signalRate.take(at: .now()) else { return lookAgain() }
                heldSignals[room]?[head] = nil
                if let subscription = seats[room]?.subscription { shard.signal(signal, from: subscription) }
            }
            heldSignals[room] = nil
        }
    }
}
