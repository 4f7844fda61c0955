internal import ParleyCore

/// Whether what a client knows of a room continues in the log. Pure.
enum ResumeJudgement: Equatable {
    /// `base` is the place after which the client goes on, with the tag that belongs to it.
    case continues(base: Position)
    case reset
    case diverged

    init(_ point: ResumePoint, in reading: SnapshotStatement.Reading) {
        let seq = point.seq
        guard seq <= reading.head.seq else {
            self = .diverged
            return
        }
        let cover = reading.cover.flatMap { $0.first <= seq ? $0.tag : nil }
        let edge = seq == reading.first - 1 ? reading.edgeTag : nil
        let tag = seq == 0 ? reading.roomTag : cover ?? edge
        switch point {
        case .position(let position):
            guard let tag else {
                self = .reset
                return
            }
            guard tag == position.tag else {
                self = .diverged
                return
            }
        case .seq: break
        }
        // A room's own tag proves the room, not that its first changes are still kept.
        self = seq >= reading.first - 1 ? .continues(base: Position(seq: seq, tag: tag ?? reading.roomTag)) : .reset
    }
}
