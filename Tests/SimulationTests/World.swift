import ParleyCore

@testable import ParleyHub
@testable import ParleyMemory

/// One run: nodes, a database, clients and what befalls them, all from one seed.
final class World {
    let schedule: Schedule
    let plan: Plan
    let oracle: Oracle
    let database: SimulatedDatabase
    private(set) var nodes: [SimulatedNode] = []
    private(set) var clients: [SimulatedClient] = []
    private(set) var isFaulty = true
    /// Kept, for the hub does not own its sinks.
    private var sockets: [SimulatedSocket] = []
    private var names: [RoomID] = []

    /// By then all must have settled, counted from the end of the faults.
    private static let settlingMax: Schedule.Time = 30_000_000
    /// How long the quiet is watched afterwards.
    private static let quiet: Schedule.Time = 1_500_000

    init(seed: UInt64, plan: Plan? = nil, isTracing: Bool = false) {
        schedule = Schedule(seed: seed, isTracing: isTracing)
        self.plan = plan ?? Plan(using: &schedule.random)
        oracle = Oracle(schedule)
        database = SimulatedDatabase(schedule, lease: self.plan.lease, grace: self.plan.grace, oracle: oracle)
    }

    /// What was wrong; nil when all was right.
    func run() -> String? {
        schedule.note("\(plan)")
        for index in 0..<plan.rooms {
            guard let name = RoomID("room\(index)") else { continue }
            names.append(name)
            database.create(name)
            if let number = database.numbers[name] { oracle.knows(number, as: name) }
        }
        for index in 0..<plan.nodes { addNode(index) }
        for index in 0..<plan.clients { addClient(index) }
        befall()
        guard runs(until: plan.duration) else { return failure }
        endFaults()
        let deadline = schedule.now + Self.settlingMax
        guard settles(by: deadline) else { return failure }
        checkQuiet()
        for client in clients.dropFirst() where schedule.random.happens(30) { client.vanish() }
        guard settles(by: schedule.now + Self.settlingMax) else { return failure }
        return failure
    }

    private var failure: String? { oracle.failure }

    private func runs(until time: Schedule.Time) -> Bool {
        while failure == nil, schedule.step(until: time) {}
        return failure == nil
    }

    private func settles(by deadline: Schedule.Time) -> Bool {
        while !isSettled {
            guard schedule.now < deadline else {
                oracle.fail(
                    "has not settled: \(clients.map(\.state)) \(names.map(members)) \(nodes.flatMap { disagreements(of: $0) })"
                )
                return false
            }
            guard runs(until: schedule.now + 100_000) else { return false }
        }
        return true
    }

    private var isSettled: Bool {
        clients.allSatisfy(\.isSettled) && nodes.allSatisfy { disagreements(of: $0).isEmpty }
            && names.allSatisfy { members(of: $0) == clients.filter { !$0.isGone }.map(\.session.clientID).sorted() }
    }

    private func members(of room: RoomID) -> [ClientID] {
        let memory = database.numbers[room].flatMap { database.rooms[$0]?.memory }
        return memory?.places.values.filter(\.isPresent).map(\.member.clientID).sorted() ?? []
    }

    /// What the node takes for true and the database does not.
    private func disagreements(of node: SimulatedNode) -> [String] {
        node.homes.open.compactMap { number, home in
            guard let room = database.rooms[number]?.memory else { return "no room \(number)" }
            let roster = home.roster.roster(atMost: .max)?.map(\.clientID) ?? []
            guard home.flushed.seq == room.lastSeq, home.roster.seq == room.rosterSeq, roster == members(of: home.id),
                home.roster.count == room.count
            else {
                return "node \(node.index) has \(home.id) at \(home.flushed.seq) of \(room.lastSeq), roster "
                    + "\(home.roster.seq) of \(room.rosterSeq): \(roster)"
            }
            return nil
        }
    }

    /// Nobody reads on and on once there is nothing to be read.
    private func checkQuiet() {
        let reads = database.logReads
        guard runs(until: schedule.now + Self.quiet) else { return }
        let more = database.logReads - reads
        if more > 4 * nodes.count * names.count { oracle.fail("the log was read \(more) times in the quiet") }
    }

    // MARK: - Beginning

    private func addNode(_ index: Int) {
        let node = SimulatedNode(self, index: index)
        if index < nodes.count { nodes[index] = node } else { nodes.append(node) }
        node.start()
    }

    private func addClient(_ index: Int) {
        guard let id = ClientID("client\(index)"), let key = SessionKey(Array(repeating: UInt8(index), count: 16))
        else {
            return
        }
        let client = SimulatedClient(self, session: SessionIdentity(key: key, clientID: id), rooms: names)
        clients.append(client)
        schedule.after(1_000...100_000) { client.connect() }
        var left = plan.messages
        while left > 0 {
            let burst = min(left, Int(schedule.random.pick(1...4)))
            left -= burst
            let room = names[schedule.random.index(below: names.count)]
            schedule.after(100_000...plan.duration) { client.say(burst, in: room) }
        }
    }

    func anyNode() -> SimulatedNode? {
        let living = nodes.filter { $0.process.isAlive }
        return living.isEmpty ? nil : living[schedule.random.index(below: living.count)]
    }

    func makeSocket(of client: SimulatedClient, on node: SimulatedNode) -> SimulatedSocket {
        let socket = SimulatedSocket(Int64(sockets.count + 1), of: client, on: node)
        sockets.append(socket)
        return socket
    }

    /// Late, twice, out of order or not at all.
    func announce(_ hint: Hint, from sender: SimulatedNode) {
        for node in nodes where node !== sender {
            guard !isFaulty || !schedule.random.happens(plan.hintLossPercent) else { continue }
            let copies = isFaulty && schedule.random.happens(5) ? 2 : 1
            for _ in 1...copies {
                let delay = schedule.random.pick(200...(isFaulty && schedule.random.happens(5) ? 600_000 : 3_000))
                schedule.after(delay, on: node.process) { node.heard(hint) }
            }
        }
    }

    // MARK: - Faults

    private func befall() {
        schedule.after(plan.chaosPause / 2...plan.chaosPause / 2 * 3) { [self] in
            guard isFaulty else { return }
            befallOnce()
            befall()
        }
    }

    private func befallOnce() {
        let client = clients[schedule.random.index(below: clients.count)]
        let node = nodes[schedule.random.index(below: nodes.count)]
        let name = names[schedule.random.index(below: names.count)]
        switch schedule.random.index(below: 100) {
        case ..<40:
            // With something on the way.
            if schedule.random.happens(50) { for name in names { client.say(1, in: name) } }
            client.lose()
        case ..<48: crash(node)
        case ..<56:
            let time = schedule.random.pick(50_000...(schedule.random.happens(30) ? 5_000_000 : 600_000))
            schedule.note("node \(node.index) is paused for \(time / 1_000) ms")
            node.process.pause(until: schedule.now + time)
        case ..<60:
            let time = schedule.random.pick(100_000...1_000_000)
            schedule.note("node \(node.index)'s writer hangs for \(time / 1_000) ms")
            node.writer.hang(until: schedule.now + time)
        case ..<64:
            let time = schedule.random.pick(20_000...(schedule.random.happens(50) ? 2_500_000 : 300_000))
            schedule.note("the database is away for \(time / 1_000) ms")
            database.downUntil = schedule.now + time
        case ..<72:
            guard let number = database.numbers[name] else { return }
            let time = schedule.random.pick(10_000...1_500_000)
            schedule.note("\(name) is locked for \(time / 1_000) ms")
            database.rooms[number]?.lockedUntil = schedule.now + time
        case ..<76: if node.process.isAlive { node.cutListener() }
        case ..<80:
            guard let number = database.numbers[name], let room = database.rooms[number]?.memory else { return }
            schedule.note("node \(node.index) hears of what is not there in \(name)")
            let ahead = Seq(schedule.random.pick(1...5))
            let pointer = RoomPointer(room: number, lastSeq: room.lastSeq + ahead, rosterSeq: room.rosterSeq + ahead)
            schedule.after(0, on: node.process) { node.homes.announced(pointer) }
        case ..<90: client.socket?.congest(for: schedule.random.pick(20_000...800_000))
        default: client.joinAgain(name)
        }
    }

    private func crash(_ node: SimulatedNode) {
        guard node.process.isAlive else { return }
        schedule.note("node \(node.index) crashes")
        node.process.isAlive = false
        for client in clients where client.socket?.isOnLivingNode == false {
            schedule.after(500...50_000) { if client.socket?.isOnLivingNode == false { client.lose() } }
        }
        schedule.after(50_000...1_500_000) { [self] in
            schedule.note("node \(node.index) starts")
            addNode(node.index)
        }
    }

    private func endFaults() {
        schedule.note("the faults end")
        isFaulty = false
        database.downUntil = 0
        for number in database.rooms.keys { database.rooms[number]?.lockedUntil = 0 }
    }
}
