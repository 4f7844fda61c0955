internal import ParleyCore

extension Announcement {
    /// Of the rooms into which a batch wrote.
    init(_ batch: Int64, _ outcomes: [AppendOutcome?], of appends: [Append], in term: WriterSeat.Term) {
        var pointers: [RoomPointer] = []
        pointers.reserveCapacity(appends.count)
        for (outcome, append) in zip(outcomes, appends) {
            switch outcome {
            case .applied(let base):
                pointers.append(RoomPointer(room: append.room, lastSeq: base + Seq(append.count)))
            case .judged(let base, let verdicts):
                let count = verdicts.count(where: \.isAccepted)
                if count > 0 { pointers.append(RoomPointer(room: append.room, lastSeq: base + Seq(count))) }
            case .appliedUnseen, .moved, .locked, .slow, .tooMuch, .gone, .invalid, nil: break
            }
        }
        self.init(writer: term.writer, batch: batch, pointers: pointers)
    }

    /// The same when its answer was lost, by what was read back: rooms may stand higher meanwhile.
    init(_ batch: Int64, _ findings: [ReadBackStatement.Finding], of appends: [Append], in term: WriterSeat.Term) {
        let pointers = zip(findings, appends).compactMap { finding, append in
            finding.room.map { RoomPointer(room: append.room, lastSeq: $0.lastSeq) }
        }
        self.init(writer: term.writer, batch: batch, pointers: pointers)
    }
}
