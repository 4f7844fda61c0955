package import ParleyCore

/// Puts the runs of one room into one order, whatever order they arrive in: from this node's own commits, which come
/// unasked, and from the log, which is read when something is missing.
///
/// Pure: it decides what to deliver, what to hold and what to read; a shell does it.
package struct RoomMachine {
    /// Runs that wait for a gap to be read are given up beyond this many bytes; the log has them.
    package static let heldBytesMax = 1_048_576

    /// Everything up to here was delivered.
    package private(set) var end: Position
    /// Beyond a gap, ascending and without overlap.
    private var held: [Run] = []
    private var heldBytes = 0
    private var pursuit: Pursuit

    package init(at position: Position) {
        end = position
        pursuit = Pursuit(at: position.seq)
    }

    /// Somebody says that there is more in the log than was delivered.
    package var isBehind: Bool { pursuit.isBehind(end.seq) }

    /// A run has come in. Returns what can be delivered now, in order.
    package mutating func received(_ run: Run) -> [Run] {
        pursuit.announced(run.to)
        guard run.from <= end.seq + 1 else {
            hold(run)
            return []
        }
        guard let news = run.suffix(after: end.seq) else { return [] }
        end = news.end
        var deliverable = [news]
        while let first = held.first, first.from <= end.seq + 1 {
            heldBytes -= first.body.count
            held.removeFirst()
            if let news = first.suffix(after: end.seq) {
                end = news.end
                deliverable.append(news)
            }
        }
        return deliverable
    }

    /// Somebody says that the room stands at `seq`: a hint from another node, or a snapshot.
    package mutating func announced(_ seq: Seq) { pursuit.announced(seq) }

    /// There may be more than anybody has spoken of: the log is to be read in any case.
    package mutating func doubt() { pursuit.doubt() }

    /// From where the log is to be read now; nil when nothing is missing or a read is under way. The caller must answer
    /// with `readEnded` once a read has succeeded.
    package mutating func startRead() -> Seq? { pursuit.startRead(from: end.seq) ? end.seq : nil }

    /// The read is over, and what it found was received.
    package mutating func readEnded(foundSomething: Bool, hasMore: Bool = false) {
        pursuit.readEnded(at: end.seq, foundSomething: foundSomething, hasMore: hasMore)
    }

    /// The log no longer holds what comes after `end`: go on from the oldest that it does hold.
    package mutating func skip(to position: Position) {
        guard position.seq > end.seq else { return }
        end = position
        pursuit.announced(position.seq)
        held.removeAll { $0.to <= position.seq }
        heldBytes = held.reduce(0) { $0 + $1.body.count }
    }

    private mutating func hold(_ run: Run) {
        guard heldBytes + run.body.count <= Self.heldBytesMax else { return }
        let index = held.firstIndex { $0.from >= run.from } ?? held.count
        if index < held.count, held[index].from == run.from {
            guard held[index].to < run.to else { return }
            heldBytes -= held[index].body.count
            held[index] = run
        } else {
            held.insert(run, at: index)
        }
        heldBytes += run.body.count
    }
}
