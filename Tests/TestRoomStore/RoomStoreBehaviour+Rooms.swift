import ParleyCore
import Testing

extension RoomStoreBehaviour {
    /// A number that no store has given to a room.
    private static let nowhere = RoomNumber(8_999_999_999_999)

    static let rooms = [
        RoomStoreBehaviour("a room is made once, and made again only if that is no error") { store in
            let id = RoomID.made()
            #expect(try await store.createRoom(RoomCreation(id: id)) == RoomCreated(created: true))
            await #expect(throws: StoreError.roomExists) { try await store.createRoom(RoomCreation(id: id)) }
            let again = try await store.createRoom(RoomCreation(id: id, ifMissing: true))
            #expect(again == RoomCreated(created: false))
            let other = RoomID.made()
            #expect(try await store.createRoom(RoomCreation(id: other, ifMissing: true)) == RoomCreated(created: true))
        },
        RoomStoreBehaviour("of many who make one room at once, one makes it") { store in
            let id = RoomID.made()
            let made = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<16 {
                    group.addTask { try await store.createRoom(RoomCreation(id: id, ifMissing: true)).created }
                }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(made == 1)
        },
        RoomStoreBehaviour("a room that is not there is not found, or left out") { store in
            let session = SessionIdentity.made()
            let id = RoomID.made()
            await #expect(throws: StoreError.roomNotFound) {
                try await store.enroll(Enrollment(room: id, session: session))
            }
            await #expect(throws: StoreError.roomNotFound) {
                try await store.snapshot(SnapshotRequest(room: nowhere, want: .recent(1), bytesMax: 1_000))
            }
            await #expect(throws: StoreError.roomNotFound) {
                try await store.snapshot(SnapshotRequest(room: nowhere, want: .after(.seq(1)), bytesMax: 1_000))
            }
            await #expect(throws: StoreError.roomNotFound) {
                try await store.history(
                    HistoryRequest(room: nowhere, after: nil, before: nil, limit: 1, bytesMax: 1_000))
            }
            let append = Append(room: nowhere, claim: 0, count: 1, tag: 1, body: Array("{}".utf8))
            let outcomes = try await store.append([append])
            #expect(outcomes == [.gone])
            #expect(try await store.readLog([LogCursor(room: nowhere, after: 0)]).isEmpty)
            #expect(try await store.readRosters([RosterCursor(room: nowhere, seq: 0)]).isEmpty)
            #expect(try await store.heads(of: [nowhere]).isEmpty)
            #expect(try await store.takeUp(session).memberships.isEmpty)
        },
        RoomStoreBehaviour("a part for a room that is gone does not keep the others from being applied") { store in
            let (first, second) = (try await StoreRoom(store), try await StoreRoom(store))
            let body = Array("{}".utf8)
            let outcomes = try await store.append([
                Append(room: second.number, claim: second.claim, count: 1, tag: 1, body: body),
                Append(room: nowhere, claim: 0, count: 1, tag: 1, body: body),
                Append(room: first.number, claim: first.claim, count: 1, tag: 1, body: body),
            ])
            #expect(outcomes == [.applied(base: 0), .gone, .applied(base: 0)])
        },
        RoomStoreBehaviour("the key for session tokens is 32 bytes, the same each time") { store in
            let keys = try await store.signingKeys()
            #expect(keys.map(\.bytes.count) == [32])
            #expect(keys.map(\.supersededFor) == [nil])
            #expect(try await store.signingKeys() == keys)
        },
    ]
}
