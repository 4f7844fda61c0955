public import NIOCore
public import ParleyCore

/// What a client of Parley does, by the protocol: one session over any number of sockets to any of several nodes, in any
/// number of rooms.
///
/// Pure: each function is one event and returns what is to be done about it, in order. `ParleyClient` is the shell that does it.
public struct ClientMachine: Sendable {
    /// What `create` may be asked to wait.
    private static let retryMs: ClosedRange<Int64> = 50...30_000

    private struct Creation: Sendable {
        var room: RoomID
        var meta: String?
        var rule: RoomID?
        var request: Int

        func frame(_ id: Int64) -> ByteBuffer {
            ClientFrameText.create(id: id, room: room, meta: meta, rule: rule)
        }
    }

    private var link: LinkMachine
    private var clientID: String?
    private var memberships: [RoomID: Membership] = [:]
    private var creations: [Int64: Creation] = [:]
    private var ids = RequestIDs()

    /// - Parameters:
    ///   - addresses: tried in turn, the first one first. At least one.
    ///   - session: to be taken up; nil for a new one.
    public init(addresses: [NodeAddress], session: String? = nil) {
        precondition(!addresses.isEmpty, "a client needs an address")
        link = LinkMachine(addresses: addresses, session: session)
    }

    /// To take the session up with, in this client or another. Secret.
    public var session: String? { link.session }

    private var isClosed: Bool {
        if case .closed = link.phase { true } else { false }
    }

    // MARK: - From the caller

    public mutating func start() -> [ClientAction] {
        var out: [ClientAction] = []
        if link.phase == .idle { link.open(&out) }
        return out
    }

    /// - Parameters:
    ///   - meta: a JSON object.
    ///   - rule: the name of a rule.
    public mutating func create(
        _ room: RoomID, meta: String? = nil, rule: RoomID? = nil, request: Int
    ) -> [ClientAction] {
        guard !isClosed else { return [.settle(request: request, .failure(.notSent))] }
        let id = ids.next()
        let creation = Creation(room: room, meta: meta, rule: rule, request: request)
        creations[id] = creation
        guard link.connect != nil else { return [] }
        return [.send(creation.frame(id))]
    }

    public mutating func join(_ room: RoomID, _ wish: JoinWish, request: Int) -> [ClientAction] {
        guard !isClosed else { return [.settle(request: request, .failure(.notSent))] }
        guard memberships[room] == nil else { return [.settle(request: request, .failure(.inRoomAlready))] }
        var out: [ClientAction] = []
        var membership = Membership(room: room, wish: wish, request: request)
        if link.connect != nil { membership.join(&ids, &out) }
        memberships[room] = membership
        return out
    }

    /// - Parameter message: JSON text.
    public mutating func send(_ message: String, to room: RoomID, request: Int) -> [ClientAction] {
        var out: [ClientAction] = []
        guard memberships[room]?.isLeaving == false else { return [.settle(request: request, .failure(.notInRoom))] }
        memberships[room]?.send(message, request: request, &out)
        return out
    }

    /// Whoever reads the room cannot take more, or can again. What comes meanwhile is fetched afterwards.
    public mutating func pause(_ room: RoomID, _ isPaused: Bool) -> [ClientAction] {
        var out: [ClientAction] = []
        memberships[room]?.pause(isPaused, &ids, isOpen: link.connect != nil, &out)
        return out
    }

    public mutating func leave(_ room: RoomID, request: Int) -> [ClientAction] {
        var out: [ClientAction] = []
        guard memberships[room]?.isLeaving == false else { return [.settle(request: request, .failure(.notInRoom))] }
        if memberships[room]?.leave(request: request, &ids, isOpen: link.connect != nil, &out) == true {
            memberships[room] = nil
        }
        return out
    }

    /// For good: the session's memberships end.
    public mutating func close() -> [ClientAction] {
        guard !isClosed else { return [] }
        var out: [ClientAction] = []
        if link.connect != nil { out.append(.finish) } else { out.append(.drop) }
        link.close(.asked, &out)
        endAll(&out)
        return out
    }

    // MARK: - From the socket

    public mutating func received(_ text: ByteBuffer, socket: Int) -> [ClientAction] {
        guard socket == link.socket, link.hasSocket else { return [] }
        var out: [ClientAction] = []
        link.heard(&out)
        do throws(Unreadable) {
            take(try NodeFrame.parse(text), &out)
        } catch {
            out.append(.violation("a frame that cannot be read: \(error)"))
            link.giveUp(because: "the node sent what cannot be read", &out)
            down(&out)
        }
        return out
    }

    /// - Parameters:
    ///   - code: the close code, if there was one.
    ///   - reason: why there never was a socket.
    public mutating func socketEnded(_ socket: Int, code: Int?, because reason: String? = nil) -> [ClientAction] {
        guard socket == link.socket, link.hasSocket else { return [] }
        var out: [ClientAction] = []
        link.ended(code, because: reason, &out)
        down(&out)
        return out
    }

    public mutating func rang(_ alarm: ClientAlarm) -> [ClientAction] {
        var out: [ClientAction] = []
        switch alarm {
        case .link:
            if link.rang(&out) { down(&out) }
        case .room(let room):
            memberships[room]?.rang(&ids, isOpen: link.connect != nil, &out)
        case .create(let id):
            guard let creation = creations[id], link.connect != nil else { break }
            out.append(.send(creation.frame(id)))
        }
        return out
    }

    // MARK: - Frames

    private mutating func take(_ frame: NodeFrame, _ out: inout [ClientAction]) {
        guard let connect = link.connect else {
            guard case .connect(let connect) = frame else {
                out.append(.violation("a frame before `connect`"))
                return
            }
            return welcomed(connect, &out)
        }
        link.worked()
        switch frame {
        case .connect: out.append(.violation("a second `connect`"))
        case .create(let id, _, let isNew):
            guard let creation = creations.removeValue(forKey: id) else { return }
            out.append(.settle(request: creation.request, .success(.created(isNew: isNew))))
        case .joinReply(let id, let room, let reply):
            memberships[room]?.joined(id: id, reply, as: connect, &out)
        case .copy(let room, let state, let roster): memberships[room]?.copied(state, roster, &out)
        case .members(let room, let news): memberships[room]?.told(news, &out)
        case .update(let room, let state): memberships[room]?.updated(state, &ids, &out)
        case .ack(let id, let room): memberships[room]?.acknowledged(id, &out)
        case .leave(let id, let room, let reason, let lastID):
            if memberships[room]?.left(id: id, reason: reason, lastID: lastID, &out) == true {
                memberships[room] = nil
            }
        case .failure(let id, let room, let failure): failed(id, room, failure, &out)
        case .other: break
        }
    }

    private mutating func welcomed(_ connect: NodeFrame.Connect, _ out: inout [ClientAction]) {
        if connect.isResumed, let clientID, clientID != connect.clientID {
            out.append(.violation("the session of \(clientID) was taken up as \(connect.clientID)"))
        }
        clientID = connect.clientID
        link.welcomed(connect, &out)
        for (id, creation) in creations.sorted(by: { $0.key < $1.key }) {
            out.append(.send(creation.frame(id)))
        }
        for room in memberships.keys.sorted(by: { $0.text < $1.text }) { memberships[room]?.join(&ids, &out) }
    }

    private mutating func failed(
        _ id: Int64?, _ room: RoomID?, _ failure: NodeFrame.Failure, _ out: inout [ClientAction]
    ) {
        guard let id else { return out.append(.violation("`\(failure.code)` without an id: \(failure.reason)")) }
        if let creation = creations[id] {
            guard failure.isTemporary else {
                creations[id] = nil
                let error = ClientError.refused(code: failure.code, reason: failure.reason)
                return out.append(.settle(request: creation.request, .failure(error)))
            }
            let pause = min(max(failure.retryMs ?? 0, Self.retryMs.lowerBound), Self.retryMs.upperBound)
            return out.append(.alarm(.create(id), .exactly(pause)))
        }
        guard let room else { return }
        if memberships[room]?.failed(id: id, failure, &out) == true { memberships[room] = nil }
    }

    // MARK: - The end of a socket

    private mutating func down(_ out: inout [ClientAction]) {
        if isClosed { return endAll(&out) }
        for room in memberships.keys.sorted(by: { $0.text < $1.text }) {
            if memberships[room]?.down(&out) == true { memberships[room] = nil }
        }
    }

    private mutating func endAll(_ out: inout [ClientAction]) {
        for (id, creation) in creations.sorted(by: { $0.key < $1.key }) {
            out.append(.silence(.create(id)))
            out.append(.settle(request: creation.request, .failure(.outcomeUnknown)))
        }
        creations = [:]
        for room in memberships.keys.sorted(by: { $0.text < $1.text }) {
            memberships[room]?.end(.clientClosed, lastID: nil, &out)
        }
        memberships = [:]
    }
}
