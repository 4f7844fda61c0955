import ParleyCore
import Testing

extension RoomStoreBehaviour {
    static let members = [
        RoomStoreBehaviour("joins and leaves are steps 1, 2, 3 … of the roster, and what changes nothing is none") {
            store in
            let room = try await StoreRoom(store)
            let ann = SessionIdentity.made(userID: "u\"7\\é")
            let profile = #"{"name": "Ann"}"#
            func member(_ profile: String?) -> Member {
                Member(clientID: ann.clientID, userID: ann.userID, profile: profile.map { Array($0.utf8) })
            }
            let joined = try await room.enroll(ann, profile: profile)
            #expect(joined.change == RosterChange(seq: 2, kind: .joined, member: member(profile)))
            #expect(joined.room == room.number)
            #expect(joined.rosterSeq == 2)
            #expect(joined.count == 2)
            #expect(joined.marks == Marks())

            for same in [profile, nil] {
                let again = try await room.enroll(ann, profile: same)
                #expect(again.change == nil)
                #expect(again.rosterSeq == 2)
                #expect(again.count == 2)
            }
            let renamed = try await room.enroll(ann, profile: "{}")
            #expect(renamed.change == RosterChange(seq: 3, kind: .joined, member: member("{}")))
            #expect(renamed.count == 2)

            let left = try await room.withdraw(ann)
            #expect(left.change?.seq == 4)
            #expect(left.change?.kind == .left)
            #expect(left.change?.member.clientID == ann.clientID)
            #expect(left.rosterSeq == 4)
            #expect(left.count == 1)
            let leftAgain = try await room.withdraw(ann)
            #expect(leftAgain == Withdrawn(change: nil, rosterSeq: 4, count: 1))

            let back = try await room.enroll(ann)
            #expect(back.change == RosterChange(seq: 5, kind: .joined, member: member("{}")), "the profile is kept")
            #expect(back.count == 2)
        },
        RoomStoreBehaviour("one who never was in the room leaves nothing by leaving") { store in
            let room = try await StoreRoom(store)
            let withdrawn = try await room.withdraw(.made())
            #expect(withdrawn == Withdrawn(change: nil, rosterSeq: 1, count: 1))
        },
        RoomStoreBehaviour("a roster is read whole from 0, and else what came after") { store in
            let room = try await StoreRoom(store)
            let (ann, bob) = (SessionIdentity.made(), SessionIdentity.made())
            _ = try await room.enroll(ann, profile: "{}")
            _ = try await room.enroll(bob)
            _ = try await room.withdraw(ann)

            func read(_ seq: Int64) async throws -> RosterRead? {
                let reads = try await store.readRosters([RosterCursor(room: room.number, seq: seq)])
                #expect(reads.count <= 1)
                return reads.first
            }
            let whole = try #require(try await read(0))
            #expect(whole.seq == 4)
            #expect(whole.count == 2)
            #expect(whole.changes.map(\.member.clientID) == [room.host.clientID, bob.clientID])
            #expect(whole.changes.allSatisfy { $0.kind == .joined })

            let news = try #require(try await read(2))
            #expect(news.changes.map(\.seq) == [3, 4])
            #expect(news.changes.map(\.kind) == [.joined, .left])
            #expect(news.changes.map(\.member.clientID) == [bob.clientID, ann.clientID])
            #expect(try await read(4)?.changes.isEmpty != false)
            #expect(try await read(9)?.changes.isEmpty != false)

            _ = try await room.enroll(ann)
            let back = try #require(try await read(1))
            #expect(back.changes.map(\.seq) == [3, 5], "at most one step for each member")
        },
        RoomStoreBehaviour("of many who join and leave at once, each has a step of its own") { store in
            let room = try await StoreRoom(store)
            let sessions = (0..<24).map { _ in SessionIdentity.made() }
            let steps = try await withThrowingTaskGroup(of: [Int64].self) { group in
                for (index, session) in sessions.enumerated() {
                    group.addTask {
                        let joined = try await room.enroll(session)
                        guard index.isMultiple(of: 3) else { return [joined.change?.seq ?? 0] }
                        return [joined.change?.seq ?? 0, try await room.withdraw(session).change?.seq ?? 0]
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(steps.sorted() == Array(2...33))
            let read = try #require(try await store.readRosters([RosterCursor(room: room.number, seq: 0)]).first)
            #expect(read.seq == 33)
            #expect(read.count == 17)
            #expect(read.changes.count == 17)
            #expect(read.changes.map(\.seq) == read.changes.map(\.seq).sorted())
        },
        RoomStoreBehaviour(
            "the marks of a member are the highest of its ids in the log, also when it left and came back"
        ) { store in
            var room = try await StoreRoom(store)
            let (ann, bob) = (SessionIdentity.made(), SessionIdentity.made())
            let claim = try await room.enroll(ann).claim
            _ = try await room.enroll(bob)
            try await room.append(
                [
                    StoreRoom.change(by: ann, id: 3), StoreRoom.change(by: bob, id: 1_000),
                    StoreRoom.change(by: ann, id: 5, "{\"clientId\":\"\(bob.clientID.text)\",\"id\":2000}"),
                    StoreRoom.change(by: ann), #"{"at":0,"message":1}"#,
                ], claim: claim)
            #expect(try await room.enroll(ann).marks == Marks(lastID: 5))
            #expect(try await room.enroll(bob).marks == Marks(lastID: 1_000))
            _ = try await room.withdraw(ann)
            #expect(try await room.enroll(ann).marks == Marks(lastID: 5))
            #expect(try await room.enroll(.made()).marks == Marks())
        },
    ]
}
