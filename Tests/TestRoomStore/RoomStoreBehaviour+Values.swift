import ParleyCore
import Testing

extension RoomStoreBehaviour {
    private static func input(_ id: Int64, _ values: [(String, String)], when: [(String, Seq)]? = nil) -> JudgedInput {
        func key(_ text: String) -> ValueSet.Key { ValueSet.Key(json: Array("\"\(text)\"".utf8), text: text) }
        let set = ValueSet(
            values: values.map { (key($0.0), Array($0.1.utf8)) }, condition: when?.map { (key($0.0), $0.1) })
        return JudgedInput(
            change: Array("{\"clientId\":\"ann\",\"id\":\(id),\"set\":".utf8) + set.valuesObject + Array("}".utf8),
            set: set)
    }

    private static func judge(
        _ inputs: [JudgedInput], in room: StoreRoom, of store: any RoomStore
    ) async throws -> AppendOutcome? {
        let append = Append(
            room: room.number, claim: room.claim, count: inputs.count, tag: 1,
            body: Array(inputs.map(\.change).joined(separator: [UInt8(ascii: ",")])), judged: inputs)
        return try await store.append([append]).first
    }

    private static func text(_ values: RoomValues?) -> [String] {
        [values?.values, values?.versions].map { String(decoding: $0 ?? [], as: UTF8.self) }
    }

    static let values = [
        RoomStoreBehaviour("sets are judged one after another, each by what the one before has left") { store in
            let room = try await StoreRoom(store)
            let outcome = try await judge(
                [
                    input(1, [("score", "1.0"), ("turn", #""ann""#)], when: [("score", 0)]),
                    input(2, [("score", "2")], when: [("score", 0)]),
                    input(3, [("score", "3"), ("turn", "null")], when: [("score", 1), ("turn", 1)]),
                    JudgedInput(change: Array(#"{"clientId":"bob","message":1}"#.utf8), set: nil),
                ], in: room, of: store)
            guard case .judged(0, let verdicts)? = outcome, verdicts.count == 4 else {
                Issue.record("\(String(describing: outcome))")
                return
            }
            #expect(verdicts[0] == .accepted)
            guard case .conflict(let found) = verdicts[1] else {
                Issue.record("\(verdicts[1])")
                return
            }
            #expect(text(found) == [#"{"score":1.0}"#, #"{"score":1}"#])
            #expect(verdicts[2...] == [.accepted, .accepted])
            let snapshot = try await room.snapshot(.recent(10))
            #expect(text(snapshot.values) == [#"{"score":3}"#, #"{"score":2}"#])
            #expect(snapshot.head.seq == 3)
            #expect(snapshot.runs.flatMap(\.changes).count == 3)
        },
        RoomStoreBehaviour(
            "a refused id below an accepted one of the same batch is known to whoever takes the member over"
        ) {
            store in
            let room = try await StoreRoom(store)
            let ann = SessionIdentity(key: SessionIdentity.made().key, clientID: ClientID("ann")!)
            _ = try await room.enroll(ann)
            let inputs = [
                input(4, [("a", "1")]), input(5, [("a", "2")], when: [("a", 9)]), input(6, [("a", "3")]),
                input(7, [("a", "4")], when: [("a", 9)]),
            ]
            _ = try await judge(inputs, in: room, of: store)
            _ = try await room.withdraw(ann)
            #expect(try await room.enroll(ann).marks == Marks(lastID: 6, refused: [5]))
        },
        RoomStoreBehaviour("of inputs that are all refused nothing is written") { store in
            let room = try await StoreRoom(store)
            let outcome = try await judge([input(1, [("a", "1")], when: [("a", 9)])], in: room, of: store)
            guard case .judged(_, let verdicts)? = outcome, case .conflict(let found)? = verdicts.first else {
                Issue.record("\(String(describing: outcome))")
                return
            }
            #expect(text(found) == ["{}", #"{"a":0}"#])
            #expect(try await room.snapshot(.recent(10)).head.seq == 0)
        },
        RoomStoreBehaviour("values that would be too large together are refused, and smaller ones are not") { store in
            let room = try await StoreRoom(store)
            let half = "\"\(String(repeating: "x", count: Limits().valuesBytes / 2))\""
            let outcome = try await judge(
                [
                    input(1, [("a", half)]), input(2, [("b", half)]), input(3, [("b", "1")]), input(4, [("a", "null")]),
                    input(5, [("b", half)]),
                ], in: room, of: store)
            guard case .judged(0, let verdicts)? = outcome else {
                Issue.record("\(String(describing: outcome))")
                return
            }
            #expect(verdicts == [.accepted, .tooLarge, .accepted, .accepted, .accepted])
        },
    ]
}
