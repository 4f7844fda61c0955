import NIOCore
import ParleyClient
import ParleyCore

/// Judges a run by what its clients wrote down and what the database has: every promise of the protocol that can be seen
/// from outside.
public struct Checker: Sendable {
    public private(set) var violations: [String] = []
    /// Changes that were compared, over all clients.
    public private(set) var compared = 0

    public init() {}

    /// - Parameter witnessed: what the room's rule noted, and how often; nil for a room without one.
    public mutating func check(
        _ log: RoomLog, seenBy room: RoomRecord, _ speakers: [SpeakerRecord],
        witnessed: [Witness.Testimony: Int]? = nil
    ) {
        var digests: [Int] = []
        var places: [String: [Seq]] = [:]
        var changes: [Change] = []
        for row in log.rows {
            if row.first != Seq(digests.count) + 1 {
                tell("\(log.room): the log goes on with \(row.first) behind \(digests.count)")
                return
            }
            do throws(Unreadable) {
                let some = try Change.all(in: row.body, from: row.first, to: row.last)
                digests += some.map(RoomRecord.digest)
                changes += some
            } catch {
                return tell("\(log.room): the log's row \(row.first)...\(row.last) cannot be read: \(error)")
            }
        }
        if Seq(digests.count) != log.lastSeq {
            tell("\(log.room): its counter says \(log.lastSeq), its log ends at \(digests.count)")
        }
        let byNumber = Dictionary(uniqueKeysWithValues: speakers.map { ($0.number, $0) })
        var said: [Int: (last: Int, at: [Int: Seq])] = [:]
        for change in changes {
            let key = "\(change.clientID ?? "") \(change.id ?? 0)"
            places[key, default: []].append(change.seq)
            guard let text = change.messageText, let speech = Speech.parse(text),
                let speaker = byNumber[speech.speaker], speech.number <= speaker.outcomes.count
            else {
                tell("\(log.room) at \(change.seq): nobody said \(String(buffer: change.text))")
                continue
            }
            if !speaker.clientIDs.contains(change.clientID ?? "") {
                tell(
                    "\(log.room) at \(change.seq): said by \(speech.speaker), in the name of \(change.clientID ?? "nobody")"
                )
            }
            var before = said[speech.speaker] ?? (0, [:])
            if let first = before.at[speech.number] {
                tell(
                    "\(log.room): message \(speech.number) of \(speech.speaker) is there twice, at \(first) and \(change.seq)"
                )
            } else if speech.number < before.last {
                tell("\(log.room) at \(change.seq): \(speech.number) of \(speech.speaker) behind its \(before.last)")
            }
            before.at[speech.number] = before.at[speech.number] ?? change.seq
            before.last = max(before.last, speech.number)
            said[speech.speaker] = before
        }
        for (key, seqs) in places where seqs.count > 1 {
            tell("\(log.room): client and id \(key) were applied \(seqs.count) times, at \(seqs)")
        }
        for speaker in speakers {
            check(speaker, said[speaker.number]?.at ?? [:], log, isRuled: witnessed != nil)
        }
        if let witnessed { check(witnessed, log, said.mapValues(\.at)) }
        violations += room.differences
        for (index, digest) in room.digests.enumerated() {
            guard let digest else { continue }
            if index >= digests.count {
                tell("\(log.room): clients saw a change at \(index + 1), the log ends at \(digests.count)")
                break
            }
            if digest != digests[index] {
                tell(
                    "\(log.room) at \(index + 1): clients saw something else than \(String(buffer: changes[index].text))"
                )
            }
        }
    }

    private mutating func check(
        _ witnessed: [Witness.Testimony: Int], _ log: RoomLog, _ said: [Int: [Int: Seq]]
    ) {
        for (testimony, count) in witnessed {
            let place = said[testimony.speaker]?[testimony.number]
            guard count != 1 || place == nil else { continue }
            let found = place.map { "at \($0)" } ?? "not there"
            tell(
                "\(log.room): the rule noted \(testimony.number) of \(testimony.speaker) \(count) times, it is \(found)"
            )
        }
        for (speaker, places) in said {
            for (number, place) in places {
                let testimony = Witness.Testimony(speaker: speaker, number: number)
                if Witness.isUnlucky(testimony) {
                    tell("\(log.room) at \(place): \(number) of \(speaker), which the rule refuses")
                } else if witnessed[testimony] == nil {
                    tell("\(log.room) at \(place): \(number) of \(speaker), of which the rule has noted nothing")
                }
            }
        }
    }

    private mutating func check(_ speaker: SpeakerRecord, _ said: [Int: Seq], _ log: RoomLog, isRuled: Bool) {
        let who = "\(log.room), client \(speaker.number) (\(speaker.clientIDs.joined(separator: ", ")))"
        for violation in speaker.violations { tell("\(who): \(violation)") }
        for (index, outcome) in speaker.outcomes.enumerated() {
            let number = index + 1
            switch (outcome, said[number]) {
            case (.durable(let seq), let place) where place != seq:
                tell("\(who): told that \(number) is at \(seq), it is \(place.map { "at \($0)" } ?? "not there")")
            case (.durableSomewhere, nil):
                tell("\(who): told that \(number) is durable, it is not there")
            case (.refused(let reason), let place?):
                tell("\(who): told that \(number) is not applied (\(reason)), it is at \(place)")
            case (.pending, let place):
                tell("\(who): \(number) was not settled, it is \(place.map { "at \($0)" } ?? "not there")")
            case (.refused, nil)
            where isRuled && Witness.isUnlucky(Witness.Testimony(speaker: speaker.number, number: number)):
                break
            case (.refused(let reason), nil):
                tell("\(who): \(number) was refused for no reason: \(reason)")
            case (.unknown, _):
                tell("\(who): the outcome of \(number) is not known, though its session was never over")
            case (.durable, _), (.durableSomewhere, _): break
            }
        }
        if speaker.end != log.lastSeq { tell("\(who): knows the room up to \(speaker.end) of \(log.lastSeq)") }
        compared += speaker.stretches.reduce(0) { $0 + $1.count }
    }

    public mutating func tell(_ violation: String) { violations.append(violation) }
}
