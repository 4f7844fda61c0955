/// Finds out that a batch of another node was committed but not announced. Pure: it is told the time.
///
/// Batches of a writer are numbered without gaps, announced at once, in one notification or several, and named by every
/// heartbeat. So a number that is committed, or skipped, and not announced within the grace, was lost with the node
/// that wrote it.
struct BatchWatch {
    typealias Instant = ContinuousClock.Instant

    /// How late an announcement may be.
    static let grace = Duration.milliseconds(300)
    /// Announcements beyond a gap that are remembered for each writer; more end the wait for the gap.
    static let aheadMax = 1_024
    /// Heartbeats without a writer until it is forgotten.
    static let absentBeatsMax = 3

    private struct Writer {
        /// All up to this batch were announced, or read by a resync.
        var seen: Int64
        /// Announced beyond a gap.
        var ahead: Set<Int64> = []
        /// The newest batch that is known to exist.
        var newest: Int64
        /// A batch that is missing, and when it must be there.
        var owed: (batch: Int64, deadline: Instant)?
        var absentBeats = 0
    }

    private var writers: [Int64: Writer] = [:]
    /// The first heartbeat after LISTEN has set where each writer began.
    private var isBaselined = false
    private var resyncAt: Instant?

    /// A new connection listens. The caller resyncs; what came before does not count any more.
    mutating func listening() {
        self = BatchWatch()
    }

    /// A notification names this batch.
    mutating func announced(_ batch: Int64, by number: Int64, at now: Instant) {
        var writer = writers[number] ?? Writer(seen: isBaselined ? 0 : batch - 1, newest: 0)
        writer.absentBeats = 0
        writer.newest = max(writer.newest, batch)
        if batch == writer.seen + 1 {
            writer.seen = batch
            while writer.ahead.remove(writer.seen + 1) != nil { writer.seen += 1 }
        } else if batch > writer.seen {
            writer.ahead.insert(batch)
        }
        if writer.ahead.count > Self.aheadMax { writer.owed = (writer.seen + 1, now) }
        Self.settle(&writer, at: now)
        writers[number] = writer
    }

    /// A heartbeat has read how far the writers are.
    mutating func committed(_ beats: [WriterBeat], at now: Instant) {
        for beat in beats {
            var writer = writers[beat.writer] ?? Writer(seen: isBaselined ? 0 : beat.lastBatch, newest: 0)
            writer.absentBeats = -1
            writer.newest = max(writer.newest, beat.lastBatch)
            Self.settle(&writer, at: now)
            writers[beat.writer] = writer
        }
        for number in writers.keys { writers[number]?.absentBeats += 1 }
        writers = writers.filter { $0.value.absentBeats < Self.absentBeatsMax }
        guard !isBaselined else { return }
        // What was committed between LISTEN and this beat may not have been announced, and nobody can tell.
        isBaselined = true
        resyncAt = now + Self.grace
    }

    /// True when hints were lost: the caller resyncs, and all that is known to exist counts as seen.
    mutating func isOverdue(at now: Instant) -> Bool {
        let isLate = writers.values.contains { $0.owed.map { $0.deadline <= now } ?? false }
        let isDue = resyncAt.map { $0 <= now } ?? false
        guard isLate || isDue else { return false }
        resyncAt = nil
        for number in writers.keys {
            guard var writer = writers[number] else { continue }
            writer.seen = writer.newest
            writer.ahead = []
            writer.owed = nil
            writers[number] = writer
        }
        return true
    }

    private static func settle(_ writer: inout Writer, at now: Instant) {
        if let owed = writer.owed, writer.seen >= owed.batch { writer.owed = nil }
        if writer.owed == nil, writer.seen < writer.newest {
            writer.owed = (writer.seen + 1, now + grace)
        }
    }
}
