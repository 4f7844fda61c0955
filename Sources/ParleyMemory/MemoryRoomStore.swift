import NIOConcurrencyHelpers
public import ParleyCore

/// Rooms in the memory of one process: the stateful design, for comparison and for trying things out. Nothing outlives
/// the process.
public final class MemoryRoomStore: RoomStore, OverviewStore {
    /// Bytes of one read of the log.
    private static let readBytesMax = 1_048_576

    /// The newest socket of a session.
    private struct Newest {
        var client: ClientID
        var number: Int64
        var lostAt: ContinuousClock.Instant?

        func hasEnded(before: Duration) -> Bool { lostAt.map { $0.duration(to: .now) >= before } ?? false }
    }

    private struct State {
        var rooms: [RoomNumber: MemoryRoom] = [:]
        var numbers: [RoomID: RoomNumber] = [:]
        /// Those that were in a room, or were taken up, at least once.
        var sockets: [SessionKey: Newest] = [:]

        func isOvertaken(_ socket: Int64?, of session: SessionKey) -> Bool {
            guard let socket, let newest = sockets[session] else { return false }
            return newest.number > socket
        }
    }

    private let state = NIOLockedValueBox(State())
    private let key: [UInt8]
    private let startedAt = ContinuousClock.now

    public init() {
        key = (0..<32).map { _ in UInt8.random(in: .min ... .max) }
    }

    public func createRoom(_ creation: RoomCreation) async throws(StoreError) -> RoomCreated {
        guard creation.rule == nil else {
            throw .invalid(
                reason: "there are no rules here: they are SQL functions, and this node keeps its rooms in memory")
        }
        let isNew = state.withLockedValue { state in
            guard state.numbers[creation.id] == nil else { return false }
            let number = RoomNumber(Int64(state.rooms.count + 1))
            state.numbers[creation.id] = number
            state.rooms[number] = MemoryRoom(creation, number: number, tag: Tag.random(in: .min ... .max))
            return true
        }
        guard isNew || creation.ifMissing else { throw .roomExists }
        return RoomCreated(created: isNew)
    }

    public func enroll(_ enrollment: Enrollment) async throws(StoreError) -> Enrolled {
        let result: Result<Enrolled, StoreError> = state.withLockedValue { state in
            guard let number = state.numbers[enrollment.room] else { return .failure(.roomNotFound) }
            guard !state.isOvertaken(enrollment.socket, of: enrollment.session.key) else {
                return .failure(.unavailable(reason: "a newer socket has the session"))
            }
            let enrolled = state.rooms[number]?.enroll(enrollment.session, profile: enrollment.profile)
            if state.sockets[enrollment.session.key] == nil {
                state.sockets[enrollment.session.key] = Newest(client: enrollment.session.clientID, number: 0)
            }
            return enrolled.map { .success($0) } ?? .failure(.roomNotFound)
        }
        return try result.get()
    }

    public func withdraw(_ withdrawal: Withdrawal) async throws(StoreError) -> Withdrawn {
        let withdrawn = state.withLockedValue { state in
            guard state.isOvertaken(withdrawal.socket, of: withdrawal.session) else {
                return state.rooms[withdrawal.room]?.withdraw(withdrawal.session, refused: withdrawal.refused)
            }
            return state.rooms[withdrawal.room].map {
                Withdrawn(change: nil, rosterSeq: $0.rosterSeq, count: $0.count)
            }
        }
        guard let withdrawn else { throw .roomNotFound }
        return withdrawn
    }

    public func append(_ appends: [Append]) async throws(StoreError) -> [AppendOutcome] {
        state.withLockedValue { state in
            appends.map { append in state.rooms[append.room]?.append(append) ?? .gone }
        }
    }

    public func appendApart(_ append: Append, waits: Bool) async throws(StoreError) -> AppendOutcome {
        state.withLockedValue { $0.rooms[append.room]?.append(append) ?? .gone }
    }

    /// There are no other nodes.
    public func send(_ signals: [RoomSignals]) {}

    public func snapshot(_ request: SnapshotRequest) async throws(StoreError) -> Snapshot {
        let snapshot = state.withLockedValue {
            $0.rooms[request.room]?.snapshot(request.want, bytesMax: request.bytesMax)
        }
        guard let snapshot else { throw .roomNotFound }
        return snapshot
    }

    public func readLog(_ cursors: [LogCursor]) async throws(StoreError) -> [LogRead] {
        state.withLockedValue { state in
            cursors.compactMap { state.rooms[$0.room]?.read(after: $0.after, bytesMax: Self.readBytesMax) }
        }
    }

    public func readRosters(_ cursors: [RosterCursor]) async throws(StoreError) -> [RosterRead] {
        state.withLockedValue { state in cursors.compactMap { state.rooms[$0.room]?.roster(after: $0.seq) } }
    }

    public func history(_ request: HistoryRequest) async throws(StoreError) -> HistoryPage {
        let page = state.withLockedValue { $0.rooms[request.room]?.history(request) }
        guard let page else { throw .roomNotFound }
        return page
    }

    public func takeUp(
        _ session: SessionIdentity, shown: Int64?, openedAt: ContinuousClock.Instant, endedWithin: Duration?,
        isWanted: @escaping @Sendable () -> Bool
    ) async throws(StoreError) -> TakenUp? {
        state.withLockedValue { state in
            let known = state.sockets[session.key]
            if let endedWithin, known?.hasEnded(before: endedWithin) ?? true { return nil }
            let number = (known?.number ?? 0) + 1
            state.sockets[session.key] = Newest(client: session.clientID, number: number)
            let memberships = state.rooms.values.compactMap { room -> Membership? in
                guard let place = room.places[session.key], place.isPresent else { return nil }
                return Membership(id: room.id, room: room.number, lastSeq: room.lastSeq, marks: place.marks)
            }
            return TakenUp(number: number, memberships: memberships)
        }
    }

    public func overtaken(_ sockets: [SessionSocket]) async throws(StoreError) -> [SessionTakeUp] {
        state.withLockedValue { state in
            sockets.compactMap { socket in
                guard let newest = state.sockets[socket.session], newest.number > socket.number else { return nil }
                return SessionTakeUp(clientID: newest.client, number: newest.number)
            }
        }
    }

    public func lapse(_ sockets: [LostSocket]) async throws(StoreError) -> [LapsedSession] {
        state.withLockedValue { state in
            sockets.compactMap { socket in
                let newest = state.sockets[socket.session]?.number ?? 0
                guard socket.number ?? newest == newest else { return nil }
                state.sockets[socket.session]?.lostAt = .now - socket.ago
                let rooms = state.rooms.values.filter { $0.places[socket.session]?.isPresent == true }.map(\.number)
                return LapsedSession(session: socket.session, number: newest, rooms: rooms)
            }
        }
    }

    public func heads(of rooms: [RoomNumber]) async throws(StoreError) -> [RoomPointer] {
        state.withLockedValue { state in
            rooms.compactMap { number in
                state.rooms[number].map { RoomPointer(room: number, lastSeq: $0.lastSeq, rosterSeq: $0.rosterSeq) }
            }
        }
    }

    public func signingKeys() async throws(StoreError) -> [SigningKey] { [SigningKey(number: 1, bytes: key)] }

    /// There are no nodes that it would know of.
    public func overview(of rooms: [RoomNumber]) async throws(StoreError) -> Overview {
        let rooms = state.withLockedValue { state in
            rooms.compactMap { number in
                state.rooms[number].map { Overview.Room(id: $0.id, lastSeq: $0.lastSeq, members: $0.count) }
            }
        }
        return Overview(at: Int64(startedAt.duration(to: .now) / .milliseconds(1)), nodes: [], rooms: rooms)
    }
}
