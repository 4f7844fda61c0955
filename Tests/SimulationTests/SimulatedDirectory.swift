import ParleyCore

@testable import ParleyHub

/// Which sockets of a node have which sessions, and the graces of those that were lost.
final class SimulatedDirectory {
    typealias Places = [(subscription: SubscriptionID, room: RoomNumber)]

    private final class Entry {
        let socket: SimulatedSocket
        /// nil until the database has said it.
        var number: Int64?
        var newest: Int64 = 0
        var lostAt: Schedule.Time?
        /// The session is on another node; what the socket had is being evicted.
        var isOvertaken = false

        init(_ socket: SimulatedSocket, number: Int64?) {
            self.socket = socket
            self.number = number
        }
    }

    private let node: SimulatedNode
    private var entries: [ClientID: Entry] = [:]

    init(_ node: SimulatedNode) { self.node = node }

    func run() {
        node.world.schedule.after(4_000_000...6_000_000, on: node.process) { [self] in
            askWhoWasOvertaken()
            run()
        }
    }

    var sockets: [SimulatedSocket] {
        entries.values.filter { $0.lostAt == nil }.map(\.socket).sorted { $0.serial < $1.serial }
    }

    /// Returns the socket that had the session here; it is to be displaced.
    func open(_ socket: SimulatedSocket, number: Int64?) -> SimulatedSocket? {
        entries.updateValue(Entry(socket, number: number), forKey: socket.session.clientID)?.socket
    }

    /// False when a newer one is known already.
    func tookUp(_ socket: SimulatedSocket, number: Int64) -> Bool {
        guard let entry = entries[socket.session.clientID], entry.socket === socket else { return false }
        entry.number = number
        guard entry.newest > number else { return true }
        entries[socket.session.clientID] = nil
        return false
    }

    func overtaken(by takeUps: [SessionTakeUp]) {
        for takeUp in takeUps {
            guard let entry = entries[takeUp.clientID], !entry.isOvertaken else { continue }
            guard let number = entry.number else {
                entry.newest = max(entry.newest, takeUp.number)
                continue
            }
            guard number < takeUp.number else { continue }
            yield(entry)
            entry.socket.displace { [self] places in node.writer.evict(places) { [self] in gone(entry) } }
        }
    }

    /// The answer is to be called when what the socket had is evicted.
    func overtaken(_ socket: SimulatedSocket) -> () -> Void {
        guard let entry = entries[socket.session.clientID], entry.socket === socket else { return {} }
        yield(entry)
        return { [self] in gone(entry) }
    }

    private func yield(_ entry: Entry) {
        entry.isOvertaken = true
        entry.lostAt = node.world.schedule.now
    }

    private func gone(_ entry: Entry) {
        guard entries[entry.socket.session.clientID] === entry else { return }
        entries[entry.socket.session.clientID] = nil
    }

    func askWhoWasOvertaken() {
        let asked = entries.values.filter { !$0.isOvertaken }.compactMap { entry in
            entry.number.map { SessionSocket(session: entry.socket.session.key, number: $0) }
        }.sorted { $0.session.bytes.lexicographicallyPrecedes($1.session.bytes) }
        guard !asked.isEmpty else { return }
        let database = node.world.database
        node.read {
            database.overtaken(asked)
        } then: { [self] found in
            if let found { overtaken(by: found) }
        }
    }

    func endSockets() { for socket in sockets { socket.endForRestart() } }

    // MARK: - Lost sockets

    func lost(_ socket: SimulatedSocket) {
        guard let entry = entries[socket.session.clientID], entry.socket === socket else { return }
        entry.lostAt = node.world.schedule.now
        lapse(entry, after: node.world.plan.grace)
    }

    /// Something that an ended socket had under way may have made the session a member, or brought it here.
    func endedLate(_ socket: SimulatedSocket, number: Int64?) {
        let known = entries[socket.session.clientID]
        guard known == nil || known?.lostAt != nil else { return }
        let numbers = known.map { [$0.number, number] } ?? [number]
        let entry = Entry(socket, number: numbers.contains(nil) ? nil : numbers.compactMap { $0 }.max())
        entry.lostAt = node.world.schedule.now
        entries[socket.session.clientID] = entry
        lapse(entry, after: node.world.plan.grace)
    }

    private func lapse(_ entry: Entry, after pause: Schedule.Time) {
        let (world, session) = (node.world, entry.socket.session)
        world.schedule.after(pause, on: node.process) { [self] in
            guard entries[session.clientID] === entry, !entry.isOvertaken, let own = node.registration?.node
            else { return }
            let number = entry.number
            node.read {
                world.database.lapse(session.key, number: number, node: own)
            } then: { [self] lapsed in
                guard entries[session.clientID] === entry else { return }
                guard let lapsed else { return lapse(entry, after: 500_000) }
                // Nothing of it may be applied behind its leave, nor behind a session that comes back.
                entry.socket.displace { [self] places in
                    node.writer.evict(places) { [self] in
                        guard entries[session.clientID] === entry else { return }
                        leave(lapsed, entry)
                    }
                }
            }
        }
    }

    private func leave(_ lapsed: LapsedSession?, _ entry: Entry) {
        guard var lapsed, let room = lapsed.rooms.popLast() else {
            entries[entry.socket.session.clientID] = nil
            return
        }
        node.desk.leave(lapsed.session, socket: lapsed.number, room) { [self] withdrawn in
            guard let withdrawn else { return lapse(entry, after: 500_000) }
            if let change = withdrawn.change {
                node.homes.received(change, count: withdrawn.count, room: room)
            }
            guard entries[entry.socket.session.clientID] === entry else { return }
            leave(lapsed, entry)
        }
    }
}
