package import ParleyCore

/// Who is in one room, as far as this node knows, and whom it still has to tell others about.
///
/// Steps arrive from this node's own writes, unasked, and from reads of the roster. Steps may be skipped by a read
/// (a later step of the same member replaces the earlier one), so that only a read closes a gap, never another step.
package struct RosterMachine {
    /// What one tick tells the members.
    package struct News: Equatable {
        package var joined: [Member]
        package var left: [ClientID]
        package var isEmpty: Bool { joined.isEmpty && left.isEmpty }
    }

    private var members: [ClientID: Member] = [:]
    /// The steps up to here are in `members`.
    package private(set) var seq: Int64
    /// How many there were at `seq`, as the store counts.
    package private(set) var count: Int
    private var pursuit: Pursuit
    private var news = News(joined: [], left: [])

    package init(_ read: RosterRead) {
        seq = read.seq
        count = read.count
        pursuit = Pursuit(at: read.seq)
        for change in read.changes where change.kind == .joined {
            members[change.member.clientID] = change.member
        }
    }

    package var isBehind: Bool { pursuit.isBehind(seq) }
    package var hasNews: Bool { !news.isEmpty }

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

    /// What is to be told in this tick; it is told once.
    package mutating func takeNews() -> News {
        defer { news = News(joined: [], left: []) }
        return news
    }

    /// All members, sorted by id; nil when they are more than `max`.
    package func roster(atMost max: Int) -> [Member]? {
        guard members.count <= max, count <= max else { return nil }
        return members.values.sorted { $0.clientID < $1.clientID }
    }

    /// A page of members after `clientID`, sorted by id, and whether more follow.
    package func page(after text: String?, limit: Int) -> (members: [Member], more: Bool) {
        var ids = members.keys.map(\.text)
        if let text { ids.removeAll { $0 <= text } }
        ids.sort()
        let page = ids.prefix(limit).compactMap { ClientID($0).flatMap { members[$0] } }
        return (page, ids.count > limit)
    }

    private mutating func apply(_ change: RosterChange) {
        let id = change.member.clientID
        switch change.kind {
        case .joined:
            members[id] = change.member
            news.left.removeAll { $0 == id }
            news.joined.removeAll { $0.clientID == id }
            news.joined.append(change.member)
        case .left:
            guard members.removeValue(forKey: id) != nil else { return }
            news.joined.removeAll { $0.clientID == id }
            news.left.append(id)
        }
    }
}
