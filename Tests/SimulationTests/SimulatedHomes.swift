import NIOCore
import ParleyCore

@testable import ParleyHub

/// The homes of a node's rooms, on the loop where they live, and the reader that fetches what they miss.
final class SimulatedHomes {
    /// A room's home, or what is known of it until it stands.
    private final class Residence {
        struct Waiter {
            var seq: Seq
            var rosterSeq: Int64
            var done: (Bool) -> Void
        }

        var home: RoomHome?
        var announced: RoomPointer
        var isDoubtful = false
        var opening: [(Bool) -> Void] = []
        var interest = 0
        var waiters: [UInt64: Waiter] = [:]

        init(_ room: RoomNumber) { announced = RoomPointer(room: room) }
    }

    private let node: SimulatedNode
    private var schedule: Schedule { node.world.schedule }
    /// From the writer, the reader and the feed to the loop of the homes.
    private lazy var arrivals = Channel(schedule, to: node.process, delay: 0...300)
    private var residences: [RoomNumber: Residence] = [:]
    private var wantedLogs: [RoomNumber: Seq] = [:]
    private var wantedRosters: [RoomNumber: Int64] = [:]
    private var isReading = false
    private var lastWaiter: UInt64 = 0

    init(_ node: SimulatedNode) { self.node = node }

    var open: [(room: RoomNumber, home: RoomHome)] {
        residences.compactMap { room, residence in residence.home.map { (room, $0) } }
    }

    // MARK: - Opening and closing

    /// Counts one more subscription in the room. Answers when the home stands, false when it could not be read.
    func open(_ room: RoomNumber, _ id: RoomID, then: @escaping (Bool) -> Void) {
        let residence = residences[room] ?? Residence(room)
        let isNew = residences.updateValue(residence, forKey: room) == nil
        residence.interest += 1
        guard residence.home == nil else { return then(true) }
        residence.opening.append(then)
        guard isNew else { return }
        let database = node.world.database
        node.read {
            database.snapshot(of: room, .recent(0))?.head
        } then: { [self] head in
            guard let head, let head else { return opened(room, residence, nil) }
            node.read {
                database.readRosters([RosterCursor(room: room, seq: 0)]).first
            } then: { [self] roster in
                guard let roster else { return opened(room, residence, nil) }
                let start = RoomHome.Start(
                    id: id, head: head,
                    roster: roster ?? RosterRead(room: room, seq: 0, count: 0, changes: []))
                opened(room, residence, RoomHome(start, tick: .milliseconds(20)))
            }
        }
    }

    private func opened(_ room: RoomNumber, _ residence: Residence, _ home: RoomHome?) {
        guard residences[room] === residence else { return }
        let waiting = residence.opening
        residence.opening = []
        if let home {
            home.announced(residence.announced)
            if residence.isDoubtful { home.doubt() }
            residence.home = home
            readWhatIsMissing(home, room)
        } else {
            residences[room] = nil
        }
        for done in waiting { done(home != nil) }
    }

    func release(_ room: RoomNumber) {
        guard let residence = residences[room] else { return }
        residence.interest -= 1
        guard residence.interest == 0 else { return }
        residences[room] = nil
        for waiter in residence.waiters.values { waiter.done(false) }
    }

    // MARK: - Questions

    func whenReached(_ room: RoomNumber, seq: Seq, rosterSeq: Int64, then: @escaping (Bool) -> Void) {
        guard let residence = residences[room], let home = residence.home else { return then(false) }
        home.announced(RoomPointer(room: room, lastSeq: seq, rosterSeq: rosterSeq))
        guard home.flushed.seq < seq || home.roster.seq < rosterSeq else { return then(true) }
        lastWaiter += 1
        let number = lastWaiter
        residence.waiters[number] = Residence.Waiter(seq: seq, rosterSeq: rosterSeq, done: then)
        schedule.after(node.world.plan.patience, on: node.process) {
            residence.waiters.removeValue(forKey: number)?.done(false)
        }
        readWhatIsMissing(home, room)
    }

    func rosterSeq(of room: RoomNumber) -> Int64? { residences[room]?.home?.roster.seq }

    func fetchPage(_ fetch: Fetch) {
        let (database, limits) = (node.world.database, node.world.plan.limits)
        whenReached(fetch.room, seq: fetch.after, rosterSeq: 0) { [self] hasReached in
            guard hasReached else { return node.post(.pageFailed(fetch)) }
            if let page = residences[fetch.room]?.home?.page(for: fetch, limits: limits) {
                return node.post(.page(page))
            }
            node.read {
                database.readLog([LogCursor(room: fetch.room, after: fetch.after)], bytesMax: 2_048)
            } then: { [self] reads in
                guard let reads else { return node.post(.pageFailed(fetch)) }
                guard let page = Delivery.Page(reads.first, for: fetch, limits: limits) else {
                    return node.world.oracle.fail("a page of \(fetch.room) after \(fetch.after) is not in the log")
                }
                node.post(.page(page))
            }
        }
    }

    // MARK: - What rooms learn

    func committed(_ runs: [(room: RoomNumber, run: Run?)]) {
        arrivals.send { [self] in
            for (room, run) in runs {
                change(room) { home in
                    if let run { home.received(run) } else { home.wroteUnseen() }
                } whileOpening: { residence in
                    residence.announced.lastSeq = max(residence.announced.lastSeq, run?.to ?? 0)
                    residence.isDoubtful = residence.isDoubtful || run == nil
                }
            }
        }
    }

    func received(_ step: RosterChange, count: Int, room: RoomNumber) {
        arrivals.send { [self] in
            change(room) { home in
                home.received(step, count: count)
            } whileOpening: { residence in
                residence.announced.rosterSeq = max(residence.announced.rosterSeq, step.seq)
            }
        }
    }

    func announced(_ pointer: RoomPointer) {
        arrivals.send { [self] in
            change(pointer.room) { home in
                home.announced(pointer)
            } whileOpening: { residence in
                residence.announced.lastSeq = max(residence.announced.lastSeq, pointer.lastSeq)
                residence.announced.rosterSeq = max(residence.announced.rosterSeq, pointer.rosterSeq)
            }
        }
    }

    func resync() {
        arrivals.send { [self] in
            for room in residences.keys.sorted() {
                change(room) {
                    $0.doubt()
                } whileOpening: {
                    $0.isDoubtful = true
                }
            }
        }
    }

    private func change(_ room: RoomNumber, _ body: (RoomHome) -> Void, whileOpening: (Residence) -> Void) {
        guard let residence = residences[room] else { return }
        guard let home = residence.home else { return whileOpening(residence) }
        body(home)
        speak(residence, home, room)
    }

    // MARK: - What rooms say

    private func speak(_ residence: Residence, _ home: RoomHome, _ room: RoomNumber) {
        while home.hasNews {
            let decision = home.wantToSpeak(at: schedule.deadline)
            if case .after(let time) = decision {
                schedule.after(time.nanoseconds / 1_000, on: node.process) { [self] in tick(room, residence) }
            }
            guard case .now = decision else { break }
            flush(home, room)
        }
        readWhatIsMissing(home, room)
        for (number, waiter) in residence.waiters.sorted(by: { $0.key < $1.key })
        where home.flushed.seq >= waiter.seq && home.roster.seq >= waiter.rosterSeq {
            residence.waiters[number] = nil
            waiter.done(true)
        }
    }

    private func tick(_ room: RoomNumber, _ residence: Residence) {
        guard residences[room] === residence, let home = residence.home else { return }
        home.tickIsDue(at: schedule.deadline)
        flush(home, room)
        speak(residence, home, room)
    }

    private func flush(_ home: RoomHome, _ room: RoomNumber) {
        for delivery in home.speak(room, limits: node.world.plan.limits, framed: { $0 }) { node.post(delivery) }
    }

    // MARK: - Reading

    private func readWhatIsMissing(_ home: RoomHome, _ room: RoomNumber) {
        if let seq = home.startLogRead() { wantedLogs[room] = min(wantedLogs[room] ?? seq, seq) }
        if let seq = home.startRosterRead() { wantedRosters[room] = min(wantedRosters[room] ?? seq, seq) }
        readSoon(0...5_000)
    }

    private func readSoon(_ pause: ClosedRange<Schedule.Time>) {
        guard !isReading, !(wantedLogs.isEmpty && wantedRosters.isEmpty) else { return }
        isReading = true
        schedule.after(pause, on: node.process) { [self] in readLogs() }
    }

    private func readLogs() {
        let (wanted, database) = (wantedLogs, node.world.database)
        wantedLogs = [:]
        guard !wanted.isEmpty else { return readRosters() }
        node.read {
            database.readLog(
                wanted.sorted { $0.key < $1.key }.map { LogCursor(room: $0.key, after: $0.value) }, bytesMax: 2_048)
        } then: { [self] found in
            guard let found else {
                for (room, seq) in wanted { wantedLogs[room] = min(wantedLogs[room] ?? seq, seq) }
                return readAgain()
            }
            let byRoom = Dictionary(found.map { ($0.room, $0) }) { first, _ in first }
            arrivals.send { [self] in
                for room in wanted.keys.sorted() {
                    change(room) { home in
                        guard let read = byRoom[room] else { return home.logReadFoundNothing() }
                        if !home.received(read) { node.world.oracle.fail("the log of \(room) has a hole") }
                    } whileOpening: { _ in
                    }
                }
            }
            readRosters()
        }
    }

    private func readRosters() {
        let (wanted, database) = (wantedRosters, node.world.database)
        wantedRosters = [:]
        guard !wanted.isEmpty else { return readOn() }
        node.read {
            database.readRosters(
                wanted.sorted { $0.key < $1.key }.map { RosterCursor(room: $0.key, seq: $0.value) })
        } then: { [self] found in
            guard let found else {
                for (room, seq) in wanted { wantedRosters[room] = min(wantedRosters[room] ?? seq, seq) }
                return readAgain()
            }
            let byRoom = Dictionary(found.map { ($0.room, $0) }) { first, _ in first }
            arrivals.send { [self] in
                for room in wanted.keys.sorted() {
                    change(room) { home in
                        guard let read = byRoom[room] else { return home.rosterReadFoundNothing() }
                        home.received(read)
                    } whileOpening: { _ in
                    }
                }
            }
            readOn()
        }
    }

    private func readOn() {
        isReading = false
        readSoon(0...5_000)
    }

    private func readAgain() {
        isReading = false
        readSoon(0...200_000)
    }
}
