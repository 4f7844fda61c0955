import NIOCore
import ParleyCore

/// The homes of the rooms that this shard answers for.
extension HubShard {
    // MARK: - Opening and closing

    /// Makes sure that the room's home stands, and counts one more subscription of `loop` in it. `release` undoes that,
    /// and must not be called when the answer is a failure.
    func open(
        _ room: RoomNumber, id: RoomID, for loop: Int,
        _ continuation: CheckedContinuation<Result<Void, StoreError>, Never>
    ) {
        let residence = residences[room] ?? Residence(room: room, loops: hub.loopCount)
        let isNew = residences.updateValue(residence, forKey: room) == nil
        residence.interest[loop] += 1
        switch residence.state {
        case .open: continuation.resume(returning: .success(()))
        case .opening(var opening):
            opening.waiting.append(continuation)
            residence.state = .opening(opening)
        }
        if isNew {
            hub.homeExpected(room)
            hub.loadHome(of: room, id: id)
        }
    }

    func opened(_ room: RoomNumber, _ result: Result<RoomHome.Start, StoreError>) {
        guard let residence = residences[room], case .opening(let opening) = residence.state else { return }
        switch result {
        case .success(let start):
            let home = RoomHome(start, tick: hub.settings.tick)
            home.announced(opening.announced)
            if opening.isDoubtful { home.doubt() }
            residence.state = .open(home)
            readWhatIsMissing(home, room)
            for continuation in opening.waiting { continuation.resume(returning: .success(())) }
        case .failure(let error):
            residences[room] = nil
            hub.homeClosed(room)
            for continuation in opening.waiting { continuation.resume(returning: .failure(error)) }
        }
    }

    func release(_ room: RoomNumber, for loop: Int) {
        guard let residence = residences[room] else { return }
        residence.interest[loop] -= 1
        guard residence.interest.allSatisfy({ $0 == 0 }) else { return }
        residences[room] = nil
        hub.homeClosed(room)
        residence.giveUpAll()
        guard case .opening(let opening) = residence.state else { return }
        for continuation in opening.waiting {
            continuation.resume(returning: .failure(.unavailable(reason: "nobody is in the room any more")))
        }
    }

    // MARK: - Questions

    /// Resumes when the room has broadcast `seq` and knows its roster up to `rosterSeq`: false when that takes longer than
    /// an input waits for the database, or the room has no home any more.
    func whenReached(_ room: RoomNumber, seq: Seq, rosterSeq: Int64, _ continuation: CheckedContinuation<Bool, Never>) {
        guard let residence = residences[room], let home = residence.home else {
            return continuation.resume(returning: false)
        }
        home.announced(RoomPointer(room: room, lastSeq: seq, rosterSeq: rosterSeq))
        guard home.flushed.seq < seq || home.roster.seq < rosterSeq else { return continuation.resume(returning: true) }
        residence.add(seq: seq, rosterSeq: rosterSeq, continuation) { waiter in
            loop.assumeIsolated().scheduleTask(in: hub.settings.patience) { [weak residence] in
                residence?.giveUp(waiter)
            }
        }
        readWhatIsMissing(home, room)
    }

    /// What a home can tell about its room's members.
    struct View {
        /// nil when the room has more members than a roster may show.
        var roster: [Member]?
        var rosterSeq: Int64
        var count: Int
    }

    /// nil when the room has no home any more.
    func view(_ room: RoomNumber) -> View? {
        guard let home = residences[room]?.home else { return nil }
        return View(
            roster: home.roster.roster(atMost: hub.settings.limits.roster), rosterSeq: home.roster.seq,
            count: home.roster.count)
    }

    func membersPage(_ room: RoomNumber, after: String?, limit: Int) -> RosterPage? {
        residences[room]?.home?.membersPage(after: after, limit: limit)
    }

    // MARK: - What rooms learn

    /// This node has written into rooms. A run is nil when only the log knows where.
    func committed(_ runs: [(room: RoomNumber, run: Run?)]) {
        for (room, run) in runs {
            change(room) { home in
                if let run {
                    home.received(run)
                } else {
                    home.wroteUnseen()
                }
            } whileOpening: { opening in
                opening.announced.lastSeq = max(opening.announced.lastSeq, run?.to ?? 0)
                opening.isDoubtful = opening.isDoubtful || run == nil
            }
        }
    }

    func received(_ step: RosterChange, count: Int, room: RoomNumber) {
        change(room) { home in
            home.received(step, count: count)
        } whileOpening: { opening in
            opening.announced.rosterSeq = max(opening.announced.rosterSeq, step.seq)
        }
    }

    func announced(_ pointers: [RoomPointer]) {
        for pointer in pointers {
            change(pointer.room) { home in
                home.announced(pointer)
            } whileOpening: { opening in
                opening.announced.lastSeq = max(opening.announced.lastSeq, pointer.lastSeq)
                opening.announced.rosterSeq = max(opening.announced.rosterSeq, pointer.rosterSeq)
            }
        }
    }

    func signalled(_ signals: RoomSignals) {
        change(signals.room) { home in
            for signal in signals.signals { home.received(signal) }
        } whileOpening: { _ in
        }
    }

    /// Hints may have been lost: every room is to be read from its cursors.
    func resync() {
        for room in residences.keys {
            change(room) { home in
                home.doubt()
            } whileOpening: { opening in
                opening.isDoubtful = true
            }
        }
    }

    func logRead(_ rooms: [RoomNumber], found: [RoomNumber: LogRead]) {
        for room in rooms {
            change(room) { home in
                guard let read = found[room] else { return home.logReadFoundNothing() }
                if !home.received(read) { hub.observe(.logHadHole) }
            } whileOpening: { _ in
            }
        }
    }

    func rostersRead(_ rooms: [RoomNumber], found: [RoomNumber: RosterRead]) {
        for room in rooms {
            change(room) { home in
                guard let read = found[room] else { return home.rosterReadFoundNothing() }
                home.received(read)
            } whileOpening: { _ in
            }
        }
    }

    /// Lets the room learn something, then reads what it is missing and says what it has to say.
    private func change(
        _ room: RoomNumber, _ body: (RoomHome) -> Void, whileOpening: (inout Residence.Opening) -> Void
    ) {
        guard let residence = residences[room] else { return }
        switch residence.state {
        case .opening(var opening):
            whileOpening(&opening)
            residence.state = .opening(opening)
        case .open(let home):
            body(home)
            speak(residence, home, room)
        }
    }

    func readWhatIsMissing(_ home: RoomHome, _ room: RoomNumber) {
        if let seq = home.startLogRead() { hub.reader.wantLog(of: room, after: seq) }
        if let seq = home.startRosterRead() { hub.reader.wantRoster(of: room, after: seq) }
    }
}
