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
        let enrolled = state.withLockedValue { state in
            state.numbers[enrollment.room].flatMap {
                state.rooms[$0]?.enroll(enrollment.session, profile: enrollment.profile)
            }
        }
        guard let enrolled else { throw .roomNotFound }
        return enrolled
    }

    public func withdraw(_ withdrawal: Withdrawal) async throws(StoreError) -> Withdrawn {
        let withdrawn = state.withLockedValue { $0.rooms[withdrawal.room]?.withdraw(withdrawal.session) }
        guard let withdrawn else { throw .roomNotFound }
        return withdrawn
    }

    public func append(_ appends: [Append]) async throws(StoreError) -> [AppendOutcome] {
        state.withLockedValue { state in
            appends.map { append in state.rooms[append.room]?.append(append).outcome ?? .gone }
        }
    }

    public func appendApart(_ append: Append) async throws(StoreError) -> AppendOutcome {
        state.withLockedValue { $0.rooms[append.room]?.append(append).outcome ?? .gone }
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

    public func memberships(of session: SessionKey) async throws(StoreError) -> [Membership] {
        state.withLockedValue { state in
            state.rooms.values.compactMap { room in
                guard let place = room.places[session], place.isPresent else { return nil }
                return Membership(id: room.id, room: room.number, lastSeq: room.lastSeq, marks: place.marks)
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

extension Seq {
    fileprivate var outcome: AppendOutcome { .applied(base: self) }
}
