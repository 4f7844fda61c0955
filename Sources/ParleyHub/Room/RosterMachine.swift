import DequeModule
package import ParleyCore
import ParleyWire

/// Who is in one room, as far as this node knows, and what it still has to tell others.
///
/// Steps arrive from this node's own writes, unasked, and from reads of the roster. Steps may be skipped by a read
/// (a later step of the same member replaces the earlier one), so that only a read closes a gap, never another step.
package struct RosterMachine {
    /// The steps between two places: the last of each member.
    package struct News: Equatable {
        package var from: Int64
        package var to: Int64
        package var joined: [Member] = []
        package var left: [ClientID] = []
        /// There is more to tell than this.
        package var hasMore = false
        /// Others may have left, of which nobody knows any more.
        package var isPatchy = false

        package var isEmpty: Bool { joined.isEmpty && left.isEmpty && !isPatchy }
        /// The client who came, when there is nothing else to tell.
        package var onlyClient: ClientID? {
            joined.count == 1 && left.isEmpty && !isPatchy ? joined.first?.clientID : nil
        }
    }

    private struct Place {
        var member: Member
        /// The step by which the member came to be as it is.
        var seq: Int64
    }

    private struct Step {
        var seq: Int64
        var clientID: ClientID
    }

    /// How many steps are kept, beyond those that are still to be told, for whoever has missed some.
    package static let recentMax = 1_000

    private var members: [ClientID: Place] = [:]
    /// The ids of `members` in order, once a page was asked for; nil when others are there since.
    private var sorted: [ClientID]?
    /// The steps up to here are in `members`.
    package private(set) var seq: Int64
    /// How many there were at `seq`, as the store counts.
    package private(set) var count: Int
    /// Everybody was told the steps up to here.
    package private(set) var told: Int64
    private var pursuit: Pursuit
    /// Ascending: all after `stepsStart`.
    private var steps: Deque<Step> = []
    private var stepsStart: Int64
    /// By which step members left, as long as `steps` has it and they are not back.
    private var departures: [ClientID: Int64] = [:]

    package init(_ read: RosterRead) {
        seq = read.seq
        count = read.count
        told = read.seq
        stepsStart = read.seq
        pursuit = Pursuit(at: read.seq)
        for change in read.changes where change.kind == .joined {
            members[change.member.clientID] = Place(member: change.member, seq: change.seq)
        }
    }

    package var isBehind: Bool { pursuit.isBehind(seq) }
    package var hasNews: Bool { (steps.last?.seq ?? 0) > told }

    // MARK: - What comes in

    /// A write of this node made this step.
    package mutating func received(_ change: RosterChange, count: Int) {
        pursuit.announced(change.seq)
        guard change.seq == seq + 1 else { return }
        apply(change)
        seq = change.seq
        self.count = count
    }

    package mutating func received(_ read: RosterRead) {
        let isNew = read.seq > seq
        if isNew {
            for change in read.changes where change.seq > seq { apply(change) }
            seq = read.seq
            count = read.count
        }
        readEnded(foundSomething: isNew)
    }

    package mutating func announced(_ rosterSeq: Int64) { pursuit.announced(rosterSeq) }

    /// There may be more than anybody has spoken of: the roster is to be read in any case.
    package mutating func doubt() { pursuit.doubt() }

    /// From where the roster is to be read now. The caller must answer once a read has succeeded: with what was received,
    /// or with `readFoundNothing`.
    package mutating func startRead() -> Int64? { pursuit.startRead(from: seq) ? seq : nil }

    package mutating func readFoundNothing() { readEnded(foundSomething: false) }

    private mutating func readEnded(foundSomething: Bool) {
        pursuit.readEnded(at: seq, foundSomething: foundSomething)
    }

    private mutating func apply(_ change: RosterChange) {
        let id = change.member.clientID
        switch change.kind {
        case .joined:
            let known = members.updateValue(Place(member: change.member, seq: change.seq), forKey: id)
            if known == nil { sorted = nil }
            departures[id] = nil
        case .left:
            guard members.removeValue(forKey: id) != nil else { return }
            sorted = nil
            departures[id] = change.seq
        }
        steps.append(Step(seq: change.seq, clientID: id))
    }

    // MARK: - What goes out

    /// What is to be told in this tick: as many steps as fit `bytesMax`, at least one. Each is told once. What follows
    /// begins where this ends, also when there is nothing in it.
    package mutating func takeNews(bytesMax: Int) -> News {
        let news = gather(steps.lazy.filter { [told] in $0.seq > told }, from: told, to: seq, bytesMax: bytesMax)
        told = news.to
        while steps.count > Self.recentMax, let oldest = steps.first, oldest.seq <= told {
            steps.removeFirst()
            stepsStart = oldest.seq
            if departures[oldest.clientID] == oldest.seq { departures[oldest.clientID] = nil }
        }
        return news
    }

    /// What was told after `place` to those who have missed nothing: as much as fits `bytesMax`, at least one step.
    package func news(after place: Int64, bytesMax: Int) -> News {
        guard place < told else { return News(from: place, to: place) }
        if place >= stepsStart {
            return gather(steps.lazy.filter { $0.seq > place }, from: place, to: told, bytesMax: bytesMax)
        }
        var remembered = members.map { Step(seq: $1.seq, clientID: $0) }
        remembered += departures.map { Step(seq: $1, clientID: $0) }
        remembered = remembered.filter { $0.seq > place }.sorted { $0.seq < $1.seq }
        var news = gather(remembered, from: place, to: told, bytesMax: bytesMax)
        news.isPatchy = true
        return news
    }

    private func gather(_ steps: some Sequence<Step>, from: Int64, to: Int64, bytesMax: Int) -> News {
        var news = News(from: from, to: to)
        var bytes = 0
        for step in steps {
            guard step.seq <= to else { break }
            let member = members[step.clientID]
            // An earlier step of a member is as good as none.
            guard step.seq == member?.seq ?? departures[step.clientID] else { continue }
            bytes += member?.member.encodedBytesMax ?? step.clientID.text.utf8.count + 3
            guard bytes <= bytesMax || news.isEmpty else {
                news.to = step.seq - 1
                news.hasMore = true
                break
            }
            if let member { news.joined.append(member.member) } else { news.left.append(step.clientID) }
        }
        return news
    }

    /// All members, sorted by id; nil when they are more than `max`.
    package func roster(atMost max: Int) -> [Member]? {
        guard members.count <= max, count <= max else { return nil }
        return members.values.map(\.member).sorted { $0.clientID < $1.clientID }
    }

    /// A page of members whose ids come after `text`, sorted by id, and whether more follow.
    package mutating func page(after text: String?, limit: Int) -> (members: [Member], more: Bool) {
        let ids = sorted ?? members.keys.sorted()
        sorted = ids
        let start =
            text.map { text in ids.partitioningIndex { text.utf8.lexicographicallyPrecedes($0.text.utf8) } } ?? 0
        let page = ids[start...].prefix(limit)
        return (page.compactMap { members[$0]?.member }, page.endIndex < ids.endIndex)
    }
}

extension [ClientID] {
    /// Of an array in which all that fulfil the condition stand behind all that do not: where the first of them is.
    fileprivate func partitioningIndex(where isBehind: (ClientID) -> Bool) -> Int {
        var range = startIndex..<endIndex
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            range = isBehind(self[middle]) ? range.lowerBound..<middle : middle + 1..<range.upperBound
        }
        return range.lowerBound
    }
}
