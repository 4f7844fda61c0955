import NIOCore
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
        /// Something may have been written of which nobody spoke.
        var isDoubtful = false
        var waiting: [CheckedContinuation<Result<Void, StoreError>, Never>] = []
    }

    /// Places that were broadcast on the former timeline, with their tags.
    struct FormerPlaces {
        var flushed: Position
        var recent: [(range: ClosedRange<Seq>, tag: Tag)]

        /// nil when `seq` lies too far back for its tag to be known.
        func position(at seq: Seq) -> Position? {
            if seq == flushed.seq { return flushed }
            return recent.first { $0.range.contains(seq) }.map { Position(seq: seq, tag: $0.tag) }
        }
    }

    /// Somebody who waits, for a bounded time, until the room has broadcast `seq` and knows its roster up to `rosterSeq`.
    struct Waiter {
        var seq: Seq
        var rosterSeq: Int64
        var timeout: Scheduled<Void>
        var continuation: CheckedContinuation<Bool, Never>

        func resume(hasReached: Bool) {
            timeout.cancel()
            continuation.resume(returning: hasReached)
        }
    }

    var state: State
    /// What had been broadcast last when the database went on with another timeline.
    var former: FormerPlaces?
    /// For each loop, how many subscriptions it has in the room or is about to have. At zero the home ends.
    var interest: [Int]
    private var waiters: [UInt64: Waiter] = [:]
    private var lastWaiter: UInt64 = 0

    init(room: RoomNumber, loops: Int) {
        state = .opening(Opening(announced: RoomPointer(room: room)))
        interest = Array(repeating: 0, count: loops)
    }

    /// nil while it does not stand yet.
    var home: RoomHome? {
        guard case .open(let home) = state else { return nil }
        return home
    }

    /// `timeout` is to give the number of the waiter back to `giveUp`.
    func add(
        seq: Seq, rosterSeq: Int64, _ continuation: CheckedContinuation<Bool, Never>,
        timeout: (UInt64) -> Scheduled<Void>
    ) {
        lastWaiter += 1
        waiters[lastWaiter] = Waiter(
            seq: seq, rosterSeq: rosterSeq, timeout: timeout(lastWaiter), continuation: continuation)
    }

    func giveUp(_ waiter: UInt64) { waiters.removeValue(forKey: waiter)?.resume(hasReached: false) }

    func giveUpAll() {
        for waiter in waiters.values { waiter.resume(hasReached: false) }
        waiters = [:]
    }

    /// The room has come so far.
    func reached(seq: Seq, rosterSeq: Int64) {
        for (number, waiter) in waiters where seq >= waiter.seq && rosterSeq >= waiter.rosterSeq {
            waiters[number] = nil
            waiter.resume(hasReached: true)
        }
    }
}
