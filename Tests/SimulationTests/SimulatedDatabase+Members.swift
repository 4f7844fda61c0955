import ParleyCore

@testable import ParleyMemory

/// Joins, leaves and sessions.
extension SimulatedDatabase {
    struct Joined {
        var batch: Int64
        var room: RoomNumber
        /// nil when a newer socket has the session.
        var enrolled: Enrolled?
    }

    enum Member<Value> {
        case done(Value)
        case locked
        case fenced
    }

    func join(_ session: SessionIdentity, socket: Int64, _ id: RoomID, in term: Term) -> Member<Joined> {
        guard let number = numbers[id], var room = rooms[number] else { preconditionFailure("rooms stay") }
        guard room.lockedUntil <= schedule.now else { return .locked }
        guard let batch = fence(term, batch: nil) else { return .fenced }
        let node = term.registration.node
        if sessions[session.key] == nil {
            sessions[session.key] = Session(client: session.clientID, node: node, number: 0)
        }
        guard sessions[session.key]?.number ?? 0 <= socket else {
            return .done(Joined(batch: batch, room: number, enrolled: nil))
        }
        let place = room.places[session.key]
        if let place, place.node != node { room.claim += 1 }
        var enrolled = room.memory.enroll(session, profile: nil)
        enrolled.claim = room.claim
        if place?.node != node { room.places[session.key] = Place(node: node, claim: room.claim) }
        rooms[number] = room
        schedule.note("database: \(session.clientID) is in \(id) on node \(node), claim \(room.claim)")
        return .done(Joined(batch: batch, room: number, enrolled: enrolled))
    }

    func leave(_ session: SessionKey, socket: Int64, _ number: RoomNumber, in term: Term) -> Member<(Int64, Withdrawn)>
    {
        guard var room = rooms[number] else { preconditionFailure("rooms stay") }
        guard room.lockedUntil <= schedule.now else { return .locked }
        guard let batch = fence(term, batch: nil) else { return .fenced }
        guard sessions[session]?.number ?? 0 <= socket else {
            return .done(
                (batch, Withdrawn(change: nil, rosterSeq: room.memory.rosterSeq, count: room.memory.count)))
        }
        let withdrawn = room.memory.withdraw(session)
        rooms[number] = room
        schedule.note("database: a session of socket \(socket) leaves \(number)")
        return .done((batch, withdrawn))
    }

    func takeUp(_ session: SessionIdentity, in term: Term) -> (batch: Int64, number: Int64)? {
        guard let batch = fence(term, batch: nil) else { return nil }
        let number = (sessions[session.key]?.number ?? 0) + 1
        sessions[session.key] = Session(client: session.clientID, node: term.registration.node, number: number)
        schedule.note("database: \(session.clientID) has socket \(number) on node \(term.registration.node)")
        return (batch, number)
    }

    func memberships(of session: SessionKey) -> [RoomNumber] {
        rooms.filter { $1.memory.places[session]?.isPresent == true }.map(\.key).sorted()
    }

    func overtaken(_ sockets: [SessionSocket]) -> [SessionTakeUp] {
        sockets.compactMap { socket in
            guard let newest = sessions[socket.session], newest.number > socket.number else { return nil }
            return SessionTakeUp(clientID: newest.client, number: newest.number)
        }
    }

    func lapse(_ session: SessionKey, number: Int64?, node: Int64) -> LapsedSession? {
        guard let newest = sessions[session], number == newest.number || number == nil && newest.node == node else {
            return nil
        }
        return LapsedSession(session: session, number: newest.number, rooms: memberships(of: session))
    }

    // MARK: - Nodes

    func register() -> Registration {
        let node = Int64(nodes.count + 1)
        let first = Int64(writers.count + 1)
        nodes[node] = Node(writers: [first, first + 1, first + 2])
        for writer in first...first + 2 {
            writers[writer] = Writer(node: node, incarnation: 1, leaseUntil: schedule.now + lease)
        }
        return Registration(node: node, incarnation: 1, writers: [first, first + 1, first + 2])
    }

    func renew(_ node: Int64) -> Registration {
        guard var row = nodes[node] else { preconditionFailure("nodes stay") }
        row.incarnation += 1
        row.deadAt = nil
        row.isCleared = false
        nodes[node] = row
        for number in row.writers {
            writers[number]?.incarnation = row.incarnation
            writers[number]?.epoch += 1
            writers[number]?.isDead = false
            writers[number]?.leaseUntil = schedule.now + lease
        }
        schedule.note("database: node \(node) is registered anew")
        return Registration(node: node, incarnation: row.incarnation, writers: row.writers)
    }

    /// nil when the node was declared dead.
    func takeOver(_ writer: Int64, incarnation: Int64) -> (epoch: Int64, lastBatch: Int64)? {
        guard var row = writers[writer] else { return nil }
        row.epoch += 1
        row.leaseUntil = schedule.now + lease
        writers[writer] = row
        return row.incarnation == incarnation && !row.isDead ? (row.epoch, row.lastBatch) : nil
    }

    struct Beat {
        var isDead: Bool
        var writers: [(writer: Int64, lastBatch: Int64)]
        var silent: Set<Int64>
        var hasNodeToClear: Bool
    }

    func heartbeat(of registration: Registration) -> Beat {
        var beat = Beat(isDead: false, writers: [], silent: [], hasNodeToClear: false)
        for (number, row) in writers.sorted(by: { $0.key < $1.key }) {
            if row.node == registration.node {
                guard row.incarnation == registration.incarnation, !row.isDead else {
                    beat.isDead = true
                    continue
                }
                writers[number]?.leaseUntil = schedule.now + lease
            } else {
                beat.writers.append((number, row.lastBatch))
                if !row.isDead, row.leaseUntil < schedule.now { beat.silent.insert(row.node) }
            }
        }
        beat.hasNodeToClear = nodes.values.contains {
            !$0.isCleared && ($0.deadAt.map { $0 + grace } ?? .max) < schedule.now
        }
        return beat
    }

    func declareDead(_ silent: [Int64]) {
        for node in silent {
            let own = nodes[node]?.writers ?? []
            guard own.allSatisfy({ writers[$0].map { !$0.isDead && $0.leaseUntil < schedule.now } ?? false }) else {
                continue
            }
            for writer in own { writers[writer]?.isDead = true }
            nodes[node]?.deadAt = schedule.now
            schedule.note("database: node \(node) is declared dead")
        }
    }

    func clearDeadNode(in term: Term) -> (batch: Int64, pointers: [RoomPointer])? {
        guard let batch = fence(term, batch: nil) else { return nil }
        var pointers: [RoomPointer] = []
        let due = nodes.filter { !$1.isCleared && ($1.deadAt.map { $0 + grace } ?? .max) < schedule.now }.keys.min()
        guard let node = due else { return (batch, []) }
        var isDone = true
        for number in rooms.keys.sorted() {
            guard var room = rooms[number] else { continue }
            let gone = room.places.filter { $1.node == node && room.memory.places[$0]?.isPresent == true }.keys
            guard !gone.isEmpty else { continue }
            guard room.lockedUntil <= schedule.now else {
                isDone = false
                continue
            }
            for session in gone.sorted(by: { $0.bytes.lexicographicallyPrecedes($1.bytes) }) {
                _ = room.memory.withdraw(session)
            }
            rooms[number] = room
            pointers.append(RoomPointer(room: number, rosterSeq: room.memory.rosterSeq))
        }
        if isDone { nodes[node]?.isCleared = true }
        schedule.note("database: members of dead node \(node) leave \(pointers.map(\.room))")
        return (batch, pointers)
    }
}
