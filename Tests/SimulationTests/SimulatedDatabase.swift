import ParleyCore

@testable import ParleyMemory

/// The tables and the statements, each of which happens at one moment. Rooms are kept as the store in memory keeps them; what
/// several nodes make necessary stands here: claims, writers, sockets.
final class SimulatedDatabase {
    /// Of a member: the node that has it, and the room's claim when it took it.
    struct Place {
        var node: Int64
        var claim: Int64
    }

    struct Room {
        var memory: MemoryRoom
        var claim: Int64 = 0
        var places: [SessionKey: Place] = [:]
        /// A foreign transaction holds it until then.
        var lockedUntil: Schedule.Time = 0
    }

    struct Session {
        var client: ClientID
        var node: Int64
        var number: Int64
    }

    struct Writer {
        var node: Int64
        var incarnation: Int64
        var epoch: Int64 = 0
        var lastBatch: Int64 = 0
        var leaseUntil: Schedule.Time
        var isDead = false
    }

    struct Node {
        var incarnation: Int64 = 1
        var writers: [Int64] = []
        var deadAt: Schedule.Time?
        var isCleared = false
    }

    enum Effect {
        /// nil for rooms of which the transaction says nothing.
        case done([AppendOutcome?])
        case lockedOut
        case fenced
    }

    let schedule: Schedule
    let lease: Schedule.Time
    let grace: Schedule.Time
    let oracle: Oracle
    var rooms: [RoomNumber: Room] = [:]
    var numbers: [RoomID: RoomNumber] = [:]
    var sessions: [SessionKey: Session] = [:]
    var writers: [Int64: Writer] = [:]
    var nodes: [Int64: Node] = [:]
    /// Nothing can be asked before that time.
    var downUntil: Schedule.Time = 0
    var logReads = 0

    init(_ schedule: Schedule, lease: Schedule.Time, grace: Schedule.Time, oracle: Oracle) {
        self.schedule = schedule
        self.lease = lease
        self.grace = grace
        self.oracle = oracle
    }

    func create(_ id: RoomID) {
        let number = RoomNumber(Int64(rooms.count + 1))
        numbers[id] = number
        rooms[number] = Room(
            memory: MemoryRoom(RoomCreation(id: id), number: number, tag: Tag(truncatingIfNeeded: number.value)))
    }

    // MARK: - Batches

    /// False when the term is over.
    func fence(_ term: Term, batch: Int64?) -> Int64? {
        guard var writer = writers[term.writer], writer.incarnation == term.registration.incarnation,
            writer.epoch == term.epoch, !writer.isDead
        else { return nil }
        writer.lastBatch = batch ?? writer.lastBatch + 1
        writer.leaseUntil = schedule.now + lease
        writers[term.writer] = writer
        return writer.lastBatch
    }

    func append(_ appends: [Append], in term: Term, batch: Int64, skipLocked: Bool) -> Effect {
        let isLocked = appends.contains { (rooms[$0.room]?.lockedUntil ?? 0) > schedule.now }
        if isLocked, !skipLocked { return .lockedOut }
        guard fence(term, batch: batch) != nil else { return .fenced }
        return .done(
            appends.map { append in
                guard var room = rooms[append.room], room.lockedUntil <= schedule.now else { return nil }
                guard room.claim == append.claim else { return .moved(claim: room.claim, members: []) }
                guard case .applied(let base) = room.memory.append(append) else { return nil }
                rooms[append.room] = room
                schedule.note("database: \(append.room) \(base + 1)...\(room.memory.lastSeq) by writer \(term.writer)")
                oracle.appended(append, base: base)
                return .applied(base: base)
            })
    }

    /// Where the chunks of a batch stand whose answer was lost.
    func readBack(_ appends: [Append]) -> [(claim: Int64, base: Seq?)] {
        appends.map { append in
            guard let room = rooms[append.room] else { return (0, nil) }
            let runs = room.memory.read(after: append.after, bytesMax: .max)?.runs ?? []
            let chunk = runs.last { $0.tag == append.tag && $0.count == append.count && $0.body == append.body }
            return (room.claim, chunk.map { $0.from - 1 })
        }
    }

    func moved(_ append: Append, from node: Int64) -> AppendOutcome {
        guard let room = rooms[append.room] else { return .gone }
        let members = room.places.filter { $1.claim > append.claim && $1.node != node }
        return .moved(claim: room.claim, members: Set(members.keys.compactMap { sessions[$0]?.client }))
    }

    // MARK: - Reading

    func snapshot(of room: RoomNumber, _ want: SnapshotRequest.Want) -> Snapshot? {
        rooms[room]?.memory.snapshot(want, bytesMax: 1_048_576)
    }

    func readLog(_ cursors: [LogCursor], bytesMax: Int) -> [LogRead] {
        logReads += 1
        return cursors.compactMap { rooms[$0.room]?.memory.read(after: $0.after, bytesMax: bytesMax) }
    }

    func readRosters(_ cursors: [RosterCursor]) -> [RosterRead] {
        cursors.compactMap { rooms[$0.room]?.memory.roster(after: $0.seq) }
    }

    func marks(of session: SessionKey, in room: RoomNumber) -> Marks {
        rooms[room]?.memory.places[session]?.marks ?? Marks()
    }
}
