import NIOConcurrencyHelpers
public import ParleyCore

/// Rooms in the memory of one process: the stateful design, for comparison and for trying things out. Nothing outlives
/// the process.
public final class MemoryRoomStore: RoomStore {
    /// Bytes of one read of the log.
    private static let readBytesMax = 1_048_576

    private struct State {
        var rooms: [RoomNumber: MemoryRoom] = [:]
        var numbers: [RoomID: RoomNumber] = [:]
        /// Those that were taken up at least once, with the number of their newest socket.
        var sockets: [SessionKey: (client: ClientID, number: Int64)] = [:]

        func isOvertaken(_ socket: Int64?, of session: SessionKey) -> Bool {
            guard let socket, let newest = sockets[session] else { return false }
            return newest.number > socket
        }
    }

    private let state = NIOLockedValueBox(State())
    private let key: [UInt8]

    public init() {
        key = (0..<32).map { _ in UInt8.random(in: .min ... .max) }
    }

    public func createRoom(_ creation: RoomCreation) async throws(StoreError) -> RoomCreated {
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
            return enrolled.map { .success($0) } ?? .failure(.roomNotFound)
        }
        return try result.get()
    }

    public func withdraw(_ withdrawal: Withdrawal) async throws(StoreError) -> Withdrawn {
        let withdrawn = state.withLockedValue { state in
            guard state.isOvertaken(withdrawal.socket, of: withdrawal.session) else {
                return state.rooms[withdrawal.room]?.withdraw(withdrawal.session)
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

    public func appendApart(_ append: Append) async throws(StoreError) -> AppendOutcome {
        state.withLockedValue { $0.rooms[append.room]?.append(append) ?? .gone }
    }

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

    public func takeUp(_ session: SessionIdentity) async throws(StoreError) -> TakenUp {
        state.withLockedValue { state in
            let number = (state.sockets[session.key]?.number ?? 0) + 1
            state.sockets[session.key] = (session.clientID, number)
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

    public func signingKey() async throws(StoreError) -> [UInt8] { key }
}
