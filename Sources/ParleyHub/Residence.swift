import ParleyCore

/// A room's place on the loop of its home: the home, or what is known of it until it stands.
final class Residence {
    enum State {
        case opening(Opening)
        case open(RoomHome)
    }

    /// What is said of the room while its home is read from the store, so that it is not lost.
    struct Opening {
        var announced: RoomPointer
        /// This node has written into the room, at a place that only the log knows.
        var hasUnseen = false
        var waiting: [CheckedContinuation<Result<Void, StoreError>, Never>] = []
    }

    /// Somebody who waits until the room has broadcast `seq` and knows its roster up to `rosterSeq`.
    struct Waiter {
        var seq: Seq
        var rosterSeq: Int64
        var continuation: CheckedContinuation<Void, Never>
    }

    var state: State
    /// For each loop, how many subscriptions it has in the room or is about to have. At zero the home ends.
    var interest: [Int]
    var waiters: [Waiter] = []

    init(room: RoomNumber, loops: Int) {
        state = .opening(Opening(announced: RoomPointer(room: room)))
        interest = Array(repeating: 0, count: loops)
    }

    /// nil while it does not stand yet.
    var home: RoomHome? {
        guard case .open(let home) = state else { return nil }
        return home
    }

    func takeWaiters(seq: Seq, rosterSeq: Int64) -> [Waiter] {
        guard !waiters.isEmpty else { return [] }
        let reached = waiters.filter { seq >= $0.seq && rosterSeq >= $0.rosterSeq }
        waiters.removeAll { seq >= $0.seq && rosterSeq >= $0.rosterSeq }
        return reached
    }
}
