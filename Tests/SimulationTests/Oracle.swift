import Foundation
import ParleyCore

/// What must be true, told from outside: it hears what the database has applied and what clients have sent, heard and seen.
final class Oracle {
    /// One change of the log.
    private struct Change {
        let client: ClientID
        let id: Int64
        let socket: Int64
    }

    private struct Log {
        var changes: [Change] = []
        var bytes: [UInt8] = []
        /// Where each change begins.
        var starts: [Int] = []
    }

    /// The ids of one client in one room.
    private struct Ids {
        var sent: Set<Int64> = []
        var applied: Set<Int64> = []
        var highestApplied: Int64 = 0
        var refused: Set<Int64> = []
        var givenUp: Set<Int64> = []
        /// What a join on this socket said: nothing that an older one sent above it may be applied any more.
        var final: (lastID: Int64, socket: Int64) = (0, 0)
    }

    private struct Member: Hashable {
        let client: ClientID
        let room: RoomID
    }

    private let schedule: Schedule
    private var logs: [RoomID: Log] = [:]
    private var ids: [Member: Ids] = [:]
    private var names: [RoomNumber: RoomID] = [:]
    /// The first thing that was wrong.
    private(set) var failure: String?

    init(_ schedule: Schedule) { self.schedule = schedule }

    func fail(_ text: @autoclosure () -> String) {
        guard failure == nil else { return }
        let text = text()
        failure = text
        schedule.note("WRONG: \(text)")
    }

    func knows(_ number: RoomNumber, as id: RoomID) {
        names[number] = id
        logs[id] = Log()
    }

    func end(of room: RoomID) -> Seq { Seq(logs[room]?.changes.count ?? 0) }
    var appliedCount: Int { logs.values.reduce(0) { $0 + $1.changes.count } }

    // MARK: - The log

    func appended(_ append: Append, base: Seq) {
        guard let room = names[append.room], var log = logs[room] else { return fail("room \(append.room) is unknown") }
        if base != Seq(log.changes.count) { fail("\(room) goes on after \(base) and not \(log.changes.count)") }
        logs[room] = nil
        let run = Run(from: 1, to: Seq(append.count), tag: append.tag, body: append.body)
        var start = 0
        for length in run.changeLengths {
            let text = append.body[start..<start + length]
            if !log.bytes.isEmpty { log.bytes.append(UInt8(ascii: ",")) }
            log.starts.append(log.bytes.count)
            log.bytes += text
            start += length + 1
            guard let change = Self.change(text) else {
                return fail("\(room) has \(String(decoding: text, as: UTF8.self))")
            }
            log.changes.append(change)
            applied(change, in: room)
        }
        if run.changeLengths.count != append.count { fail("\(room) counts \(append.count) changes that are not there") }
        logs[room] = log
    }

    private static func change(_ text: ArraySlice<UInt8>) -> Change? {
        guard let head = ChangeHead(text), let id = head.id else { return nil }
        let parts = String(decoding: text, as: UTF8.self).split(separator: ":")
        guard parts.count == 5, let socket = Int64(parts[3].prefix { $0 != "," }) else { return nil }
        return Change(client: head.clientID, id: id, socket: socket)
    }

    private func applied(_ change: Change, in room: RoomID) {
        let member = Member(client: change.client, room: room)
        let what = "\(change.client)'s id \(change.id) in \(room)"
        guard let known = ids[member], known.sent.contains(change.id) else { return fail("\(what) was never sent") }
        if known.applied.contains(change.id) { fail("\(what) is applied twice") }
        if change.id < known.highestApplied { fail("\(what) is applied after \(known.highestApplied)") }
        if known.refused.contains(change.id) { fail("\(what) is applied although it was refused") }
        if change.socket < known.final.socket {
            fail(
                "\(what), of socket \(change.socket), is applied after socket \(known.final.socket) was told \(known.final.lastID)"
            )
        }
        ids[member]?.applied.insert(change.id)
        ids[member]?.highestApplied = max(change.id, known.highestApplied)
    }

    // MARK: - Clients

    func sends(_ id: Int64, of client: ClientID, in room: RoomID) {
        ids[Member(client: client, room: room), default: Ids()].sent.insert(id)
    }

    func gaveUp(_ given: [Int64], of client: ClientID, in room: RoomID) {
        ids[Member(client: client, room: room)]?.givenUp.formUnion(given)
    }

    func acknowledged(_ id: Int64, of client: ClientID, in room: RoomID) {
        guard ids[Member(client: client, room: room)]?.applied.contains(id) != true else { return }
        fail("\(client)'s id \(id) in \(room) is acknowledged and not in the log")
    }

    func refused(_ id: Int64, of client: ClientID, in room: RoomID) {
        let member = Member(client: client, room: room)
        ids[member]?.refused.insert(id)
        if ids[member]?.applied.contains(id) == true {
            fail("\(client)'s id \(id) in \(room) is refused and in the log")
        }
    }

    /// - Parameter isFinal: It is the first answer to a join on this socket.
    func told(_ marks: Marks, of client: ClientID, in room: RoomID, on socket: Int64, isFinal: Bool) {
        let member = Member(client: client, room: room)
        guard let known = ids[member] else { return }
        for id in known.sent.sorted() where id <= marks.lastID {
            let what = "\(client)'s id \(id) in \(room), up to \(marks.lastID),"
            if marks.refused.contains(id) {
                if known.applied.contains(id) { fail("\(what) is told as refused and in the log") }
                ids[member]?.refused.insert(id)
            } else if !known.applied.contains(id), !known.givenUp.contains(id), !known.refused.contains(id) {
                // One whose refusal the client has heard need not be told again.
                fail("\(what) is told as applied and not in the log")
            }
        }
        if isFinal { ids[member]?.final = (marks.lastID, socket) }
    }

    /// Returns the client's own ids among it; nil when it is wrong.
    func shown(to client: ClientID, _ room: RoomID, from: Seq, to: Seq, _ body: [UInt8]) -> Set<Int64>? {
        guard let log = logs[room], to <= log.changes.count else {
            fail("\(client) is shown \(room) \(from)...\(to), which is not committed")
            return nil
        }
        guard from <= to else { return [] }
        let start = log.starts[Int(from) - 1]
        let end = Int(to) < log.starts.count ? log.starts[Int(to)] - 1 : log.bytes.count
        let isSame = log.bytes.withUnsafeBytes { own in
            body.withUnsafeBytes {
                $0.count == end - start && memcmp($0.baseAddress!, own.baseAddress! + start, end - start) == 0
            }
        }
        guard isSame else {
            fail("\(client) is shown other bytes of \(room) \(from)...\(to) than the log has")
            return nil
        }
        return Set(log.changes[Int(from) - 1..<Int(to)].filter { $0.client == client }.map(\.id))
    }
}
