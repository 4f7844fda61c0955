import ParleyCore

/// One room of a client: joined anew on every socket, its changes reported once and in order, its messages in the outbox.
struct Membership: Sendable {
    /// What a node may ask to wait before the next `join`.
    private static let retryMs: ClosedRange<Int64> = 50...30_000

    private enum Phase: Equatable {
        /// There is no socket, or `join` has to wait.
        case out
        case joining(Int64)
        case joined
        case leaving(Int64)
        /// A node has put the leave off.
        case leavingLater
    }

    let room: RoomID
    private let wish: JoinWish
    private var phase = Phase.out
    /// nil until the first join.
    private var copy: RoomCopy?
    private var outbox: Outbox
    /// Who waits for the first join, and for the leave.
    private var joinRequest: Int?
    private var leaveRequest: Int?
    /// The reply to a `join` came on this socket before.
    private var wasJoinedOnSocket = false
    /// The reader cannot take more: what comes is not taken until it can.
    private var isPaused = false
    private var needsJoin = false

    init(room: RoomID, wish: JoinWish, request: Int) {
        self.room = room
        self.wish = wish
        joinRequest = request
        outbox = Outbox(room: room)
    }

    var isLeaving: Bool { leaveRequest != nil }

    // MARK: - From the caller

    mutating func send(_ message: String, request: Int, _ out: inout [ClientAction]) {
        outbox.add(message, request: request, &out)
    }

    /// The reader cannot take more, or can again.
    mutating func pause(_ isPaused: Bool, _ ids: inout RequestIDs, isOpen: Bool, _ out: inout [ClientAction]) {
        self.isPaused = isPaused
        guard !isPaused, needsJoin, isOpen, phase == .joined else { return }
        join(&ids, &out)
    }

    /// True when the membership is over with that.
    mutating func leave(
        request: Int, _ ids: inout RequestIDs, isOpen: Bool, _ out: inout [ClientAction]
    ) -> Bool {
        leaveRequest = request
        guard isOpen else {
            // Not joined again on the next socket, the member is gone after its grace.
            end(.left, lastID: nil, &out)
            return true
        }
        sendLeave(&ids, &out)
        return false
    }

    private mutating func sendLeave(_ ids: inout RequestIDs, _ out: inout [ClientAction]) {
        let id = ids.next()
        phase = .leaving(id)
        out.append(.silence(.room(room)))
        out.append(.send(ClientFrameText.leave(id: id, room: room)))
    }

    // MARK: - The socket

    mutating func join(_ ids: inout RequestIDs, _ out: inout [ClientAction]) {
        let id = ids.next()
        phase = .joining(id)
        needsJoin = false
        outbox.interrupted(&out)
        out.append(.silence(.room(room)))
        out.append(.send(ClientFrameText.join(id: id, room: room, wish: wish, after: copy?.position)))
    }

    /// The socket is gone. True when the membership is over with that.
    mutating func down(_ out: inout [ClientAction]) -> Bool {
        phase = .out
        wasJoinedOnSocket = false
        out.append(.silence(.room(room)))
        outbox.interrupted(&out)
        guard isLeaving else { return false }
        end(.left, lastID: nil, &out)
        return true
    }

    mutating func rang(_ ids: inout RequestIDs, isOpen: Bool, _ out: inout [ClientAction]) {
        if phase == .out, isOpen {
            join(&ids, &out)
        } else if phase == .leavingLater, isOpen {
            sendLeave(&ids, &out)
        } else if outbox.isPausing {
            outbox.pauseEnded(&out)
        }
    }

    // MARK: - Frames

    mutating func joined(
        id: Int64, _ reply: NodeFrame.JoinReply, as connect: NodeFrame.Connect, _ out: inout [ClientAction]
    ) {
        guard phase == .joining(id) else {
            if !isLeaving { out.append(.violation("\(room): a join reply that nobody asked for")) }
            return
        }
        phase = .joined
        let onNewSocket = !wasJoinedOnSocket
        wasJoinedOnSocket = true
        if let request = joinRequest {
            joinRequest = nil
            out.append(.settle(request: request, .success(.joined)))
        }
        show(reply.state, &out)
        if copy == nil {
            copy = RoomCopy(at: reply.state.position)
            out.append(.event(room, .joined(reply.state)))
        } else if reply.state.isReset {
            replace(by: reply.state, &out)
        } else {
            take(reply.state, &out)
            if needsJoin, !isPaused { out.append(.violation("\(room): a join reply leaves a hole")) }
        }
        // Whoever comes back learns who is there now.
        if reply.roster.all != nil { told(reply.roster, &out) }
        outbox.joined(
            as: connect.clientID, lastID: reply.lastID, refused: reply.refused, inFlightMax: connect.inFlightMax,
            frameBytesMax: connect.frameBytesMax, onNewSocket: onNewSocket, &out)
        // Now with what `lastId` says is applied.
        if reply.state.isReset { outbox.skipped(&out) }
    }

    mutating func updated(_ state: RoomState, _ ids: inout RequestIDs, _ out: inout [ClientAction]) {
        // Durable is durable, in order or not.
        show(state, &out)
        guard phase == .joined, let copy else { return }
        if !isPaused, !needsJoin, state.from != copy.position.seq + 1 {
            out.append(.violation("\(room): an update from \(state.from) behind \(copy.position.seq)"))
        }
        take(state, &out)
        if needsJoin, !isPaused { join(&ids, &out) }
    }

    mutating func copied(_ state: RoomState, _ roster: RosterNews, _ out: inout [ClientAction]) {
        show(state, &out)
        guard phase == .joined else { return }
        if !state.isReset { out.append(.violation("\(room): a fresh copy that is no reset")) }
        replace(by: state, &out)
        if roster.all != nil { told(roster, &out) }
    }

    mutating func acknowledged(_ id: Int64, _ out: inout [ClientAction]) { outbox.acknowledged(id, &out) }

    mutating func told(_ news: RosterNews, _ out: inout [ClientAction]) {
        if phase == .joined, !isPaused { out.append(.event(room, .members(news))) }
    }

    /// True when the membership is over with that.
    mutating func left(
        id: Int64?, reason: String, lastID: Int64, _ out: inout [ClientAction]
    ) -> Bool {
        switch (phase, id) {
        case (.leaving(let own), let id?) where own == id: end(.left, lastID: lastID, &out)
        case (_, nil): end(reason == "closed" ? .closed : .removed, lastID: lastID, &out)
        default:
            out.append(.violation("\(room): a leave that nobody asked for"))
            return false
        }
        return true
    }

    /// True when the membership is over with that.
    mutating func failed(id: Int64, _ failure: NodeFrame.Failure, _ out: inout [ClientAction]) -> Bool {
        switch phase {
        case .joining(id):
            guard failure.isTemporary else {
                let error = ClientError.refused(code: failure.code, reason: failure.reason)
                if let request = joinRequest { out.append(.settle(request: request, .failure(error))) }
                joinRequest = nil
                end(.refused(code: failure.code, reason: failure.reason), lastID: nil, &out)
                return true
            }
            phase = .out
            tryLater(failure, &out)
            return false
        case .leaving(id):
            guard failure.isTemporary else {
                end(.left, lastID: nil, &out)
                return true
            }
            phase = .leavingLater
            tryLater(failure, &out)
            return false
        default:
            if id < RequestIDs.first { outbox.failed(id, failure, &out) }
            return false
        }
    }

    private func tryLater(_ failure: NodeFrame.Failure, _ out: inout [ClientAction]) {
        let pause = min(max(failure.retryMs ?? 0, Self.retryMs.lowerBound), Self.retryMs.upperBound)
        out.append(.alarm(.room(room), .exactly(pause)))
    }

    mutating func end(_ end: RoomEnd, lastID: Int64?, _ out: inout [ClientAction]) {
        outbox.ended(lastID: lastID, &out)
        out.append(.silence(.room(room)))
        if let request = joinRequest { out.append(.settle(request: request, .failure(.notSent))) }
        if let request = leaveRequest { out.append(.settle(request: request, .success(.left))) }
        (joinRequest, leaveRequest) = (nil, nil)
        out.append(.event(room, .ended(end)))
    }

    // MARK: - Changes

    private mutating func take(_ state: RoomState, _ out: inout [ClientAction]) {
        guard !isPaused else {
            needsJoin = true
            return
        }
        switch copy?.take(state) {
        case .news(let changes)?:
            if !changes.isEmpty { out.append(.event(room, .changes(changes))) }
        case .hole?, nil:
            needsJoin = true
        }
    }

    private mutating func replace(by state: RoomState, _ out: inout [ClientAction]) {
        copy = RoomCopy(at: state.position)
        needsJoin = false
        out.append(.event(room, .reset(state)))
        outbox.skipped(&out)
    }

    private mutating func show(_ state: RoomState, _ out: inout [ClientAction]) {
        for change in state.changes {
            if let clientID = change.clientID, let id = change.id {
                outbox.shown(clientID: clientID, id: id, seq: change.seq, &out)
            }
        }
    }
}

/// Numbers of requests that are answered themselves. They begin above any that a message gets, so that an error names one.
struct RequestIDs: Sendable {
    static let first: Int64 = 1 << 52
    private var newest = first - 1

    mutating func next() -> Int64 {
        newest += 1
        return newest
    }
}
