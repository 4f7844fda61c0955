import NIOCore
import ParleyCore
import ParleyWire

/// One room on this node: its order, its recent past, its roster and its tick. Lives on the event loop of its shard,
/// and exists while somebody on this node is in the room or about to be.
final class RoomHome {
    let id: RoomID
    private var machine: RoomMachine
    private var recent: RecentRuns
    private(set) var roster: RosterMachine
    private var pacer: TickPacer
    /// Delivered by the machine, not yet broadcast.
    private var pending = PendingRuns()
    private var signals = PendingSignals()
    /// Everything up to here was broadcast.
    private(set) var flushed: Position

    /// What a home begins with.
    struct Start: Sendable {
        var id: RoomID
        var head: Position
        var roster: RosterRead
    }

    init(_ start: Start, tick: TimeAmount) {
        id = start.id
        machine = RoomMachine(at: start.head)
        recent = RecentRuns(after: start.head.seq)
        roster = RosterMachine(start.roster)
        pacer = TickPacer(tick: tick)
        flushed = start.head
    }

    var places: Residence.FormerPlaces { Residence.FormerPlaces(flushed: flushed, recent: recent.places) }

    var hasNews: Bool { !pending.isEmpty || roster.hasNews || !signals.isEmpty }

    // MARK: - What comes in

    func received(_ run: Run) {
        // The log has it, and is read once there is room again.
        guard !pending.isFull else { return machine.announced(run.to) }
        pending.append(contentsOf: machine.received(run))
    }

    /// What was read from the log after the machine's end. False when the log no longer holds what comes after it.
    func received(_ read: LogRead) -> Bool {
        guard let first = read.runs.first else {
            logReadFoundNothing()
            return true
        }
        let isHole = first.from > machine.end.seq + 1
        if isHole {
            pending.removeAll()
            let start = Position(seq: first.from - 1, tag: 0)
            machine.skip(to: start)
            recent.reset(to: start.seq)
            flushed = start
        }
        for run in read.runs { pending.append(contentsOf: machine.received(run)) }
        machine.readEnded(foundSomething: true, hasMore: read.more)
        return !isHole
    }

    func logReadFoundNothing() { machine.readEnded(foundSomething: false) }

    func received(_ change: RosterChange, count: Int) { roster.received(change, count: count) }

    func received(_ read: RosterRead) { roster.received(read) }

    func rosterReadFoundNothing() { roster.readFoundNothing() }

    func announced(_ pointer: RoomPointer) {
        machine.announced(pointer.lastSeq)
        roster.announced(pointer.rosterSeq)
    }

    /// This node has written into the room, at a place that only the log knows.
    func wroteUnseen() { machine.doubt() }

    /// Hints may have been lost: the log and the roster are to be read, whether or not anything is known to be missing.
    func doubt() {
        machine.doubt()
        roster.doubt()
    }

    /// From where the log is to be read now; nil also while there is more to say than fits the next frames.
    func startLogRead() -> Seq? { pending.isFull ? nil : machine.startRead() }
    func startRosterRead() -> Int64? { roster.startRead() }

    // MARK: - What goes out

    func wantToSpeak(at now: NIODeadline) -> TickPacer.Decision { pacer.wanted(at: now) }
    func tickIsDue(at now: NIODeadline) { pacer.due(at: now) }

    /// The next update for everybody: as many runs as fit one frame. nil when there is nothing to say.
    func takeUpdate(bytesMax: Int) -> (runs: [Run], end: Position)? {
        let runs = pending.take(bytesMax: bytesMax)
        guard let last = runs.last else { return nil }
        for run in runs { recent.append(run) }
        flushed = last.end
        return (runs, last.end)
    }

    func received(_ signal: Signal) { signals.add(signal) }

    func takeSignals() -> [Signal] { signals.take() }

    func takeNews(bytesMax: Int) -> RosterMachine.News { roster.takeNews(bytesMax: bytesMax) }

    func membersPage(after: String?, limit: Int) -> RosterPage {
        let page = roster.page(after: after, limit: limit)
        return RosterPage(rosterSeq: roster.seq, count: roster.count, members: page.members, more: page.more)
    }

    /// What was broadcast after `seq`; nil when only the log still has it.
    func broadcast(after seq: Seq) -> [Run]? { recent.after(seq) }
}
