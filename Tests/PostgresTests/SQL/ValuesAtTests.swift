import ParleyCore
import TestPostgres
import TestRandom
import Testing

@testable import ParleyPostgres

@Suite("Values by SQL", .heavy)
struct ValuesAtTests {
    private static let values = """
        SELECT COALESCE(json_object_agg(key, value ORDER BY key COLLATE "C"), '{}')::jsonb::text
        FROM parley.room_values WHERE room_id = 'tea'
        """

    @Test("set and if do what they do on a socket; a condition that does not hold tells values and versions")
    func set() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRooms("tea")
            #expect(try await database.number(#"SELECT parley.set_values('tea', '{"score":3,"turn":"ann"}')"#) == 1)
            let next = #"SELECT parley.set_values('tea', '{"score": 4, "turn":null}', '{"score":1,"new":0}', 'ann')"#
            #expect(try await database.number(next) == 2)
            let error = await #expect(throws: PostgresError.self) {
                try await database.query(#"SELECT parley.set_values('tea', '{"score":5}', '{"score":1,"turn":1}')"#)
            }
            guard case .server("PY006", _, let detail, .some, _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(detail == #"{"values":{"score":4},"versions":{"score":2,"turn":0}}"#)
            let log = try await database.log(of: "tea")
            #expect(log.isGapless && log.chunks.count == 2)
            #expect(log.chunks[1].body.hasPrefix(#"{"clientId":"ann","at":"#))
            #expect(log.chunks[1].body.hasSuffix(#","set":{"score": 4, "turn":null}}"#))
            #expect(try await database.text(Self.values) == #"{"score": 4}"#)
        }
    }

    @Test("whatever is not allowed is refused with a code and a hint, and nothing of the call is done")
    func refusals() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRooms("tea")
            for (state, arguments) in [
                ("PY001", "'none', '{}'"), ("PY004", "NULL, '{}'"), ("PY004", "'tea', NULL"), ("PY004", "'tea', '[1]'"),
                ("PY004", #"'tea', '{"a":1,"a":2}'"#), ("PY004", #"'tea', '{"a\u0000":1}'"#),
                ("PY004", #"'tea', '{"a":1}', '7'"#), ("PY004", #"'tea', '{"a":1}', '{"a":-1}'"#),
                ("PY004", #"'tea', '{"a":1}', '{"a":"0"}'"#), ("PY004", #"'tea', '{"a":1}', '{"a":0,"a":0}'"#),
                ("PY004", #"'tea', '{"a":1}', '{"a":9007199254740992}'"#), ("PY004", "'tea', '{}', NULL, 'a b'"),
                ("PY005", "'tea', json_build_object('a', repeat('x', 70000))"),
            ] { try await database.expectRefusal(state, "SELECT parley.set_values(\(arguments))") }
            try await database.query("SELECT parley.set_values('tea', json_build_object('a', repeat('x', 65000)))")
            try await database.expectRefusal(
                "PY005", "SELECT parley.set_values('tea', json_build_object('b', repeat('x', 600)))")
            try await database.query(#"SELECT parley.set_values('tea', '{"a":null}')"#)
        }
    }

    @Test("at every place the log rebuilds the values that there were then, also beside messages and after pruning")
    func rebuilt() async throws {
        try await ScratchDatabase.use { database in
            try await database.query("SELECT parley.create_room('tea', retain_messages => 10)")
            var generator = SeededGenerator(seed: 7)
            var expected = ["{}"]
            for step in 1...60 {
                let key = Int.random(in: 1...5, using: &generator)
                switch Int.random(in: 1...4, using: &generator) {
                case 1: try await database.query("SELECT parley.publish('tea', '{\"set\":{\"key\(key)\":0}}')")
                case 2: try await database.query("SELECT parley.set_values('tea', '{\"key\(key)\":null}')")
                default:
                    try await database.query(
                        "SELECT parley.set_values('tea', '{\"key\(key)\":\(step),\"last\":\(step)}')")
                }
                expected.append(try await database.text(Self.values))
            }
            for (seq, values) in expected.enumerated() {
                let rebuilt = try await database.text("SELECT parley.values_at('tea', \(seq))::jsonb::text")
                #expect(rebuilt == values, "at \(seq)")
            }
            try await database.query("UPDATE parley.update_log SET at = at - interval '1 hour'")
            #expect(try await database.number("SELECT parley.prune('tea')") == 50)
            for seq in 50...60 {
                let rebuilt = try await database.text("SELECT parley.values_at('tea', \(seq))::jsonb::text")
                #expect(rebuilt == expected[seq], "at \(seq), pruned")
            }
            for place in ["49", "61", "-1", "now() - interval '2 hours'"] {
                try await database.expectRefusal("PY008", "SELECT parley.values_at('tea', \(place))")
            }
            #expect(try await database.text("SELECT parley.values_at('tea', now())::jsonb::text") == expected[60])
        }
    }

    @Test("by a moment the newest change that was written by then counts; before the first there are no values")
    func moment() async throws {
        try await ScratchDatabase.use { database in
            try await database.makeRooms("tea")
            for score in 1...3 { try await database.query("SELECT parley.set_values('tea', '{\"score\":\(score)}')") }
            try await database.query(
                "UPDATE parley.update_log SET at = timestamptz '2026-01-01' + last_seq * interval '1 day'")
            for (moment, values) in [
                ("2026-01-01", "{}"), ("2026-01-02", #"{"score":1}"#), ("2026-01-03 12:00", #"{"score":2}"#),
                ("2027-01-01", #"{"score":3}"#),
            ] {
                #expect(
                    try await database.text("SELECT parley.values_at('tea', timestamptz '\(moment)')::text") == values,
                    "\(moment)")
            }
        }
    }
}
