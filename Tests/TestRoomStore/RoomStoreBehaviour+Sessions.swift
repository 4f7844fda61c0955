import ParleyCore
import Testing

extension RoomStoreBehaviour {
    static let sessions = [
        RoomStoreBehaviour("who takes a session up hears in which rooms it is now") { store in
            var (first, second) = (try await StoreRoom(store), try await StoreRoom(store))
            let third = try await StoreRoom(store)
            let ann = SessionIdentity.made()
            let claims = (try await first.enroll(ann).claim, try await second.enroll(ann).claim)
            _ = try await third.enroll(ann)
            _ = try await third.withdraw(ann)
            try await first.append(
                [StoreRoom.change(by: ann, id: 4), StoreRoom.change(by: ann, id: 9)], claim: claims.0)
            try await second.append([StoreRoom.change(by: second.host, id: 7)], claim: claims.1)
            let memberships = try await store.takeUp(ann).memberships
            #expect(
                memberships.sorted { $0.room < $1.room }
                    == [
                        Membership(id: first.id, room: first.number, lastSeq: 2, marks: Marks(lastID: 9)),
                        Membership(id: second.id, room: second.number, lastSeq: 1, marks: Marks()),
                    ].sorted { $0.room < $1.room })
        },
        RoomStoreBehaviour("the sockets of a session have rising numbers, also of one that never was in a room") {
            store in
            let room = try await StoreRoom(store)
            let (ann, bob) = (SessionIdentity.made(), SessionIdentity.made(userID: "u\"7"))
            _ = try await room.enroll(bob)
            for session in [ann, bob] {
                var last: Int64 = 0
                for _ in 1...3 {
                    let takenUp = try await store.takeUp(session)
                    #expect(takenUp.number > last)
                    #expect(takenUp.memberships.count == (session == bob ? 1 : 0))
                    last = takenUp.number
                }
            }
        },
        RoomStoreBehaviour("of sockets that take the same session up at once, each has a number of its own") { store in
            let ann = SessionIdentity.made()
            let numbers = try await withThrowingTaskGroup(of: Int64.self) { group in
                for _ in 1...40 { group.addTask { try await store.takeUp(ann).number } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(numbers).count == 40)
            let last = try await store.takeUp(ann).number
            #expect(numbers.allSatisfy { $0 < last })
        },
        RoomStoreBehaviour("those sockets have been overtaken whose number is not the highest") { store in
            let (ann, bob, cyd) = (SessionIdentity.made(), SessionIdentity.made(), SessionIdentity.made())
            let first = try await store.takeUp(ann).number
            let second = try await store.takeUp(ann).number
            let overtaken = try await store.overtaken([
                SessionSocket(session: ann.key, number: 0), SessionSocket(session: ann.key, number: second),
                SessionSocket(session: bob.key, number: try await store.takeUp(bob).number),
                SessionSocket(session: cyd.key, number: 0),
            ])
            #expect(overtaken == [SessionTakeUp(clientID: ann.clientID, number: second)])
            let former = try await store.overtaken([SessionSocket(session: ann.key, number: first)])
            #expect(former == overtaken)
            #expect(try await store.overtaken([]) == [])
        },
        RoomStoreBehaviour("a socket that was overtaken neither joins nor leaves any more") { store in
            let (room, other) = (try await StoreRoom(store), try await StoreRoom(store))
            let ann = SessionIdentity.made()
            func join(_ room: StoreRoom, socket: Int64?) async throws {
                _ = try await store.enroll(Enrollment(room: room.id, session: ann, socket: socket))
            }
            func leave(socket: Int64?) async throws -> Withdrawn {
                try await store.withdraw(Withdrawal(room: room.number, session: ann.key, socket: socket))
            }
            try await join(room, socket: 0)
            #expect(try await store.takeUp(ann).memberships.map(\.room) == [room.number])
            await #expect(throws: StoreError.self) { try await join(other, socket: 0) }
            #expect(try await leave(socket: 0) == Withdrawn(change: nil, rosterSeq: 2, count: 2))
            let newest = try await store.takeUp(ann)
            #expect(newest.memberships.map(\.room) == [room.number])
            #expect(try await leave(socket: newest.number).change?.seq == 3)
            try await join(other, socket: newest.number)
            #expect(try await store.takeUp(ann).memberships.map(\.room) == [other.number])
        },
        RoomStoreBehaviour(
            "who left and joins again is known with the ids that were refused, also if no change came behind them"
        ) {
            store in
            var room = try await StoreRoom(store)
            let ann = SessionIdentity.made()
            _ = try await room.enroll(ann)
            try await room.append([StoreRoom.change(by: ann, id: 3)])
            for refused in [[5, 9], [7]] as [[Int64]] {
                _ = try await store.withdraw(Withdrawal(room: room.number, session: ann.key, refused: refused))
                _ = try await room.enroll(ann)
            }
            #expect(try await room.enroll(ann).marks == Marks(lastID: 9, refused: [5, 7, 9]))
        },
        RoomStoreBehaviour("a session that lapses has its rooms to leave, but none once a newer socket has it") {
            store in
            let (room, other) = (try await StoreRoom(store), try await StoreRoom(store))
            let (ann, bob, cyd) = (SessionIdentity.made(), SessionIdentity.made(), SessionIdentity.made())
            for session in [ann, bob] { _ = try await room.enroll(session) }
            _ = try await other.enroll(ann)
            _ = try await other.enroll(cyd)
            _ = try await other.withdraw(cyd)
            func lapse(_ sockets: [(SessionIdentity, Int64?)]) async throws -> [LapsedSession] {
                let lapsed = try await store.lapse(
                    sockets.map { LostSocket(session: $0.0.key, number: $0.1, ago: .seconds(15)) })
                return lapsed.map {
                    LapsedSession(session: $0.session, number: $0.number, rooms: $0.rooms.sorted())
                }
            }
            #expect(try await lapse([]) == [])
            let first = try await lapse([(ann, 0), (bob, 0), (cyd, nil), (.made(), 0)])
            #expect(
                Set(first.filter { !$0.rooms.isEmpty }) == [
                    LapsedSession(session: ann.key, number: 0, rooms: [room.number, other.number].sorted()),
                    LapsedSession(session: bob.key, number: 0, rooms: [room.number]),
                ])
            let newest = try await store.takeUp(ann).number
            #expect(try await lapse([(ann, 0)]) == [])
            let owed = LapsedSession(
                session: ann.key, number: newest, rooms: [room.number, other.number].sorted())
            #expect(try await lapse([(ann, newest)]) == [owed])
            #expect(try await lapse([(ann, nil)]) == [owed])
        },
        RoomStoreBehaviour("whether a session is over counts from the end of its last socket") { store in
            let room = try await StoreRoom(store)
            let day = Duration.seconds(86_400)
            func isThere(_ session: SessionIdentity) async throws -> Bool {
                try await store.takeUp(session, shown: nil, openedAt: .now, endedWithin: day, isWanted: { true }) != nil
            }
            func lose(_ session: SessionIdentity, ago: Duration) async throws {
                _ = try await store.lapse([LostSocket(session: session.key, number: nil, ago: ago)])
            }
            let ann = SessionIdentity.made()
            #expect(try await !isThere(ann), "nobody knows it")
            _ = try await room.enroll(ann)
            #expect(try await isThere(ann), "its socket is open")
            try await lose(ann, ago: .seconds(86_000))
            #expect(try await isThere(ann))
            try await lose(ann, ago: .seconds(87_000))
            #expect(try await !isThere(ann))
            #expect(
                try await store.takeUp(
                    ann, shown: nil, openedAt: .now, endedWithin: .seconds(88_000), isWanted: { true }) != nil)
            #expect(try await isThere(ann), "its socket is open again")
            try await lose(ann, ago: .seconds(87_000))
            #expect(
                try await store.takeUp(ann, shown: nil, openedAt: .now, endedWithin: nil, isWanted: { true }) != nil)
        },
    ]
}
