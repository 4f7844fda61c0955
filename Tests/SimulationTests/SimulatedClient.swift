import NIOCore
import ParleyCore

/// A client that keeps to the protocol: ids in order, a temporary error answered by the same id again, the lowest first; on
/// a new socket what is unanswered above `lastId`, then new ids.
final class SimulatedClient {
    fileprivate enum Fate {
        /// On its way, or its answer is.
        case sent
        /// To be sent again, since a temporary error said so.
        case deferred
    }

    fileprivate struct Pending {
        let id: Int64
        let isMalformed: Bool
        var fate = Fate.sent
    }

    struct Room {
        /// What the client has of the room; nil before its first join.
        fileprivate(set) var position: Position?
        fileprivate(set) var isJoined = false
        fileprivate var isJoining = false
        /// The place that the join under way has named: its answer continues that.
        fileprivate var named: Position?
        fileprivate var isRetryDue = false
        fileprivate var lastID: Int64 = 0
        /// Ascending.
        fileprivate var pending: [Pending] = []
        /// Messages to be sent that have no id yet.
        fileprivate var unsent = 0
    }

    let session: SessionIdentity
    private let world: World
    private(set) var rooms: [RoomID: Room] = [:]
    private let names: [RoomID]
    private(set) var socket: SimulatedSocket?
    private var isConnected = false
    private var hasSession = false
    private(set) var isGone = false
    private var schedule: Schedule { world.schedule }
    private var name: ClientID { session.clientID }

    init(_ world: World, session: SessionIdentity, rooms names: [RoomID]) {
        self.world = world
        self.session = session
        self.names = names
        for name in names { rooms[name] = Room() }
    }

    /// Nothing is left to be sent, answered or shown.
    var isSettled: Bool {
        isGone
            || isConnected
                && rooms.allSatisfy { id, room in
                    room.isJoined && !room.isJoining && room.pending.isEmpty && room.unsent == 0
                        && room.position?.seq == world.oracle.end(of: id)
                }
    }

    var state: String {
        let rooms = rooms.map { id, room in
            "\(id) at \(room.position?.description ?? "-") joined \(room.isJoined) joining \(room.isJoining) pending "
                + "\(room.pending.map { "\($0.id) \($0.fate)" }) unsent \(room.unsent)"
        }
        return "\(name) gone \(isGone) connected \(isConnected) on \(socket?.nodeIndex ?? -1): \(rooms)"
    }

    // MARK: - Sockets

    func connect() {
        guard socket == nil, !isGone else { return }
        guard let node = world.anyNode() else { return connectLater() }
        let new = world.makeSocket(of: self, on: node)
        schedule.note("\(name): socket \(new.serial) to node \(node.index)")
        socket = new
        new.connect(resumes: hasSession)
        // Its identity is the same in the whole run: from here on it is taken up, whether or not this socket opens.
        hasSession = true
        schedule.after(1_000_000...2_000_000) { [self] in
            if socket === new, !isConnected { lose() }
        }
    }

    private func connectLater() { schedule.after(1_000...300_000) { [self] in connect() } }

    /// The socket is lost, or no frame came for too long.
    func lose() {
        guard let lost = socket else { return }
        schedule.note("\(name): socket \(lost.serial) is lost")
        lost.abandon()
        drop()
        connectLater()
    }

    private func drop() {
        socket = nil
        isConnected = false
        for name in names {
            rooms[name]?.isJoined = false
            rooms[name]?.isJoining = false
        }
    }

    /// Goes for good.
    func vanish() {
        isGone = true
        socket?.abandon()
        drop()
    }

    // MARK: - Sending

    func say(_ count: Int, in room: RoomID) {
        rooms[room]?.unsent += count
        sendNew(room)
    }

    func joinAgain(_ name: RoomID) {
        guard let room = rooms[name], room.isJoined, !room.isJoining else { return }
        join(name)
    }

    private func join(_ name: RoomID) {
        guard let room = rooms[name] else { return }
        rooms[name]?.isJoining = true
        rooms[name]?.named = room.position
        let after = room.position.map { schedule.random.happens(50) ? ResumePoint.position($0) : .seq($0.seq) }
        socket?.request(.join(name, after: after))
    }

    private func sendNew(_ name: RoomID) {
        // One who waits for its retries first; the others have the node answer that they must.
        while let room = rooms[name], room.isJoined, !room.isJoining, room.unsent > 0,
            schedule.random.happens(50) || !room.pending.contains(where: { $0.fate == .deferred })
        {
            rooms[name]?.unsent -= 1
            rooms[name]?.lastID += schedule.random.pick(1...2)
            guard let id = rooms[name]?.lastID else { return }
            let pending = Pending(id: id, isMalformed: schedule.random.happens(world.plan.malformedPercent))
            rooms[name]?.pending.append(pending)
            world.oracle.sends(id, of: self.name, in: name)
            send(pending, name)
        }
    }

    private func send(_ pending: Pending, _ room: RoomID) {
        schedule.note(
            "\(name): sends \(pending.id)\(pending.isMalformed ? ", malformed," : "") to \(room) on socket \(socket?.serial ?? 0)"
        )
        socket?.request(pending.isMalformed ? .malformed(room, pending.id) : .message(room, pending.id))
    }

    private func retryLater(_ name: RoomID) {
        guard rooms[name]?.isRetryDue == false else { return }
        rooms[name]?.isRetryDue = true
        schedule.after(20_000...250_000) { [self] in
            rooms[name]?.isRetryDue = false
            guard let room = rooms[name], room.isJoined, !room.isJoining else { return }
            for (index, pending) in room.pending.enumerated() where pending.fate == .deferred {
                rooms[name]?.pending[index].fate = .sent
                send(pending, name)
            }
            sendNew(name)
        }
    }

    // MARK: - Receiving

    func received(_ message: ServerMessage, on socket: SimulatedSocket) {
        guard self.socket === socket else { return }
        switch message {
        case .connected:
            isConnected = true
            for name in names { join(name) }
        case .joinFailed(let room):
            schedule.after(20_000...250_000) { [self] in
                guard self.socket === socket, rooms[room]?.isJoining == true else { return }
                join(room)
            }
        case .joined(let answer): joined(answer, on: socket)
        case .frame(let frame): received(ReceivedFrame(frame), on: socket)
        case .closed(let code):
            schedule.note("\(name): socket \(socket.serial) is closed with \(code)")
            drop()
            connectLater()
        }
    }

    private func joined(_ answer: JoinAnswer, on socket: SimulatedSocket) {
        let (name, snapshot, marks) = (answer.room, answer.snapshot, answer.marks)
        guard var room = rooms[name] else { return }
        schedule.note(
            "\(self.name): is in \(name) on socket \(socket.serial), last id \(marks.lastID) \(marks.refused)")
        let isRepeat = room.isJoined
        // What the node had answered temporarily before this is given up.
        let given = isRepeat ? room.pending.filter { $0.fate == .deferred } : []
        world.oracle.gaveUp(given.map(\.id), of: self.name, in: name)
        room.pending.removeAll { pending in given.contains { $0.id == pending.id } }
        world.oracle.told(marks, of: self.name, in: name, on: socket.serial, isFinal: !isRepeat)
        if !isRepeat {
            room.pending.removeAll { $0.id <= marks.lastID }
            for index in room.pending.indices { room.pending[index].fate = .sent }
        }
        room.isJoined = true
        room.isJoining = false
        if let position = room.named {
            if snapshot.continuity != .continues {
                world.oracle.fail("\(self.name) is told to drop its copy of \(name)")
            }
            rooms[name] = room
            take(
                name, from: snapshot.runs.first?.from ?? snapshot.end.seq + 1, to: snapshot.end.seq, snapshot.end,
                snapshot.runs.body, after: position)
        } else {
            room.position = snapshot.end
            rooms[name] = room
        }
        if !isRepeat { for pending in rooms[name]?.pending ?? [] { send(pending, name) } }
        sendNew(name)
        if rooms[name]?.pending.contains(where: { $0.fate == .deferred }) == true { retryLater(name) }
    }

    private func received(_ frame: ReceivedFrame, on socket: SimulatedSocket) {
        switch frame {
        case .update(let room, let from, let to, let position, let body):
            guard let end = rooms[room]?.position, rooms[room]?.isJoined == true else {
                return world.oracle.fail("\(name) gets an update of \(room) before it has joined")
            }
            take(room, from: from, to: to, position, body, after: end)
        case .ack(let room, let id):
            schedule.note("\(name): ack for \(id) of \(room)")
            world.oracle.acknowledged(id, of: name, in: room)
            rooms[room]?.pending.removeAll { $0.id == id }
        case .error(let room, let id, let code, let isTemporary):
            schedule.note("\(name): \(code) for \(id) of \(room)")
            if isTemporary {
                if let index = rooms[room]?.pending.firstIndex(where: { $0.id == id }) {
                    rooms[room]?.pending[index].fate = .deferred
                } else if rooms[room]?.isJoined == true {
                    // An update has shown it; the node wants it again all the same before it takes another.
                    let index = rooms[room]?.pending.firstIndex { $0.id > id } ?? rooms[room]?.pending.count ?? 0
                    rooms[room]?.pending.insert(Pending(id: id, isMalformed: false, fate: .deferred), at: index)
                }
                retryLater(room)
            } else {
                let isMalformed = rooms[room]?.pending.first { $0.id == id }?.isMalformed
                if isMalformed == false { world.oracle.fail("\(name): id \(id) of \(room) gets \(code)") }
                world.oracle.refused(id, of: name, in: room)
                rooms[room]?.pending.removeAll { $0.id == id }
            }
            sendNew(room)
        case .presence: break
        case .unknown(let text): world.oracle.fail("\(name) gets \(text)")
        }
    }

    private func take(_ name: RoomID, from: Seq, to: Seq, _ position: Position, _ body: [UInt8], after end: Position) {
        guard from == end.seq + 1 else {
            return world.oracle.fail("\(self.name) has \(name) up to \(end.seq) and is shown \(from)...\(to)")
        }
        rooms[name]?.position = position
        guard let shown = world.oracle.shown(to: self.name, name, from: from, to: to, body) else { return }
        rooms[name]?.pending.removeAll { $0.fate == .sent && shown.contains($0.id) }
    }
}
