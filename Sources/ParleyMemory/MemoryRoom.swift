import ParleyCore

/// One room in memory: its log as chunks, as the database has it, and its roster.
struct MemoryRoom {
    /// Bytes of changes that a room keeps at most, where `retain` does not say less; older ones answer `reset`.
    static let bytesMax = 64 * 1_048_576

    struct Place {
        var member: Member
        var rosterSeq: Int64
        var isPresent: Bool
        var marks = Marks()

        mutating func applied(_ id: Int64) { marks.lastID = max(marks.lastID, id) }

        mutating func refused(_ ids: [Int64]) {
            marks.refused = Set(marks.refused).union(ids).sorted().suffix(Limits.refusedMax)
            marks.lastID = max(marks.lastID, ids.last ?? 0)
        }
    }

    let id: RoomID
    let number: RoomNumber
    private let tag: Tag
    private let retainMessages: Int64?
    private let retainSeconds: Int64?
    private var values = MemoryValues(bytesMax: Limits().valuesBytes)
    private var chunks: [(run: Run, at: ContinuousClock.Instant)] = []
    private var bytes = 0
    private(set) var lastSeq: Seq = 0
    /// The oldest place still kept.
    private(set) var firstSeq: Seq = 1
    private(set) var rosterSeq: Int64 = 0
    private(set) var count = 0
    private(set) var places: [SessionKey: Place] = [:]
    private var sessions: [ClientID: SessionKey] = [:]

    init(_ creation: RoomCreation, number: RoomNumber, tag: Tag) {
        id = creation.id
        self.number = number
        self.tag = tag
        retainMessages = creation.retainMessages
        retainSeconds = creation.retainSeconds
    }

    var head: Position { position(at: lastSeq) }

    // MARK: - Members

    mutating func enroll(_ session: SessionIdentity, profile: [UInt8]?) -> Enrolled {
        let known = places[session.key]
        let isPresent = known?.isPresent == true
        let profile = profile ?? known?.member.profile
        var change: RosterChange?
        if !isPresent || known?.member.profile != profile {
            rosterSeq += 1
            if !isPresent { count += 1 }
            let member = Member(clientID: session.clientID, userID: session.userID, profile: profile)
            places[session.key] = Place(
                member: member, rosterSeq: rosterSeq, isPresent: true, marks: known?.marks ?? Marks())
            sessions[session.clientID] = session.key
            change = RosterChange(seq: rosterSeq, kind: .joined, member: member)
        }
        return Enrolled(
            room: number, claim: 0, change: change, rosterSeq: rosterSeq, count: count,
            marks: places[session.key]?.marks ?? Marks())
    }

    mutating func withdraw(_ session: SessionKey, refused: [Int64] = []) -> Withdrawn {
        if !refused.isEmpty { places[session]?.refused(refused) }
        guard var place = places[session], place.isPresent else {
            return Withdrawn(change: nil, rosterSeq: rosterSeq, count: count)
        }
        rosterSeq += 1
        count -= 1
        place.isPresent = false
        place.rosterSeq = rosterSeq
        places[session] = place
        return Withdrawn(
            change: RosterChange(seq: rosterSeq, kind: .left, member: place.member), rosterSeq: rosterSeq, count: count)
    }

    func roster(after seq: Int64) -> RosterRead? {
        guard rosterSeq > seq || seq == 0 else { return nil }
        let changes = places.values
            .filter { $0.rosterSeq > seq && (seq > 0 || $0.isPresent) }
            .map { RosterChange(seq: $0.rosterSeq, kind: $0.isPresent ? .joined : .left, member: $0.member) }
            .sorted { $0.seq < $1.seq }
        return RosterRead(room: number, seq: rosterSeq, count: count, changes: changes)
    }

    // MARK: - The log

    mutating func append(_ append: Append) -> AppendOutcome {
        guard let inputs = append.judged else { return .applied(base: write(append)) }
        var (accepted, verdicts): (Append, [Verdict]) = (append, [])
        var changes: [[UInt8]] = []
        for input in inputs {
            let verdict = input.set.map { values.judge($0, at: lastSeq + Seq(changes.count) + 1) } ?? .accepted
            if verdict == .accepted { changes.append(input.change) }
            verdicts.append(verdict)
        }
        let heads = zip(inputs, verdicts).compactMap { input, verdict in
            ChangeHead(input.change).map { (head: $0, isAccepted: verdict == .accepted) }
        }
        for (head, isAccepted) in heads where !isAccepted {
            guard let id = head.id else { continue }
            let isBelow = heads.contains { $0.isAccepted && $0.head.clientID == head.clientID && $0.head.id ?? 0 > id }
            if isBelow { accepted.refused.append(RefusedIDs(clientID: head.clientID, ids: [id])) }
        }
        accepted.count = changes.count
        accepted.body = Array(changes.joined(separator: [UInt8(ascii: ",")]))
        return .judged(base: changes.isEmpty ? lastSeq : write(accepted), verdicts: verdicts)
    }

    /// Returns the place before the first change.
    private mutating func write(_ append: Append) -> Seq {
        let base = lastSeq
        lastSeq += Seq(append.count)
        let run = Run(from: base + 1, to: lastSeq, tag: append.tag, body: append.body)
        chunks.append((run, .now))
        bytes += run.body.count
        for refused in append.refused {
            guard let key = sessions[refused.clientID] else { continue }
            places[key]?.refused(refused.ids)
        }
        for head in ChangeHead.all(in: run) {
            guard let id = head.id, let key = sessions[head.clientID] else { continue }
            places[key]?.applied(id)
        }
        forget()
        return base
    }

    /// What comes after `seq`, chunk by chunk, up to `bytesMax`; at least one chunk.
    func read(after seq: Seq, bytesMax: Int) -> LogRead? {
        guard lastSeq > seq else { return nil }
        let runs = RunCut(bytesMax: bytesMax, takesOne: true)
            .oldestWhole(of: chunks[index(after: seq)...].lazy.map(\.run))
        return LogRead(room: number, runs: runs, more: (runs.last?.to ?? seq) < lastSeq)
    }

    func snapshot(_ want: SnapshotRequest.Want, bytesMax: Int) -> Snapshot {
        switch want {
        case .recent(let count): return recent(count, bytesMax: bytesMax, .continues)
        case .after(let point):
            let continuity = continuity(of: point)
            guard continuity == .continues else { return recent(Limits.recentDefault, bytesMax: bytesMax, continuity) }
            let runs = runs(after: point.seq, through: lastSeq)
            var snapshot = Snapshot(
                head: head, runs: runs, continuity: .continues, end: runs.last?.end ?? position(at: point.seq))
            snapshot.keepOldest(bytesMax: bytesMax)
            return snapshot
        }
    }

    /// Also for places that a client has made up, which may be anything.
    func history(_ request: HistoryRequest) -> HistoryPage {
        let low = max(request.after ?? 0, firstSeq - 1)
        let high = min(max(request.before ?? .max, 1) - 1, lastSeq)
        guard low < high, request.limit > 0 else {
            let to = min(low, lastSeq)
            return HistoryPage(from: to + 1, to: to, first: firstSeq, body: [], more: low < high)
        }
        let isForward = request.after != nil
        let cut = RunCut(changesMax: request.limit, bytesMax: request.bytesMax, takesOne: true)
        // No more is looked at than the limit allows: a room may hold a great many changes.
        let count = min(Seq(request.limit), high - low)
        let kept =
            isForward
            ? cut.oldest(of: runs(after: low, through: low + count))
            : cut.newest(of: runs(after: high - count, through: high))
        let (from, to) = (kept.first?.from ?? low + 1, kept.last?.to ?? low)
        return HistoryPage(
            from: from, to: to, first: firstSeq, body: kept.body, more: isForward ? to < high : from > low + 1)
    }

    // MARK: - Places

    private func continuity(of point: ResumePoint) -> Snapshot.Continuity {
        guard point.seq <= lastSeq else { return .diverged }
        if case .position(let position) = point {
            guard position.seq <= 0 || position.seq >= firstSeq else { return .reset }
            guard self.position(at: position.seq).tag == position.tag else { return .diverged }
        }
        // The room's own tag proves the room, not that its first changes are still kept.
        return point.seq >= firstSeq - 1 ? .continues : .reset
    }

    private func recent(_ count: Int, bytesMax: Int, _ continuity: Snapshot.Continuity) -> Snapshot {
        let after = max(lastSeq - Seq(count), firstSeq - 1)
        var snapshot = Snapshot(
            head: head, runs: runs(after: after, through: lastSeq), continuity: continuity, end: head,
            values: values.all)
        snapshot.keepNewest(bytesMax: bytesMax)
        return snapshot
    }

    private func position(at seq: Seq) -> Position {
        guard seq > 0 else { return Position(seq: 0, tag: tag) }
        let index = index(after: seq - 1)
        return Position(seq: seq, tag: index < chunks.count ? chunks[index].run.tag : 0)
    }

    private func runs(after low: Seq, through high: Seq) -> [Run] {
        var runs: [Run] = []
        for index in index(after: low)..<chunks.count {
            guard let run = chunks[index].run.suffix(after: low)?.prefix(through: high) else { break }
            runs.append(run)
        }
        return runs
    }

    /// The first chunk that holds anything after `seq`.
    private func index(after seq: Seq) -> Int {
        var (low, high) = (0, chunks.count)
        while low < high {
            let middle = (low + high) / 2
            if chunks[middle].run.to > seq { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// Whole chunks go when nothing of them is to be kept.
    private mutating func forget() {
        var dropped = 0
        while dropped < chunks.count - 1 {
            let oldest = chunks[dropped]
            let isOver =
                bytes > Self.bytesMax
                || retainMessages.map { lastSeq - oldest.run.to >= $0 } ?? false
                || retainSeconds.map { oldest.at.duration(to: .now) > .seconds($0) } ?? false
            guard isOver else { break }
            bytes -= oldest.run.body.count
            firstSeq = oldest.run.to + 1
            dropped += 1
        }
        if dropped > 0 { chunks.removeFirst(dropped) }
    }
}
