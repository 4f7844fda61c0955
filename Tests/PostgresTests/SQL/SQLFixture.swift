import Testing

@testable import ParleyPostgres

/// A room's log as the table has it.
struct RoomLog {
    struct Chunk {
        var first: Int64
        var last: Int64
        var body: String
    }

    var chunks: [Chunk]
    /// The chunks follow each other from the first place on, and the room counts up to the last of them.
    var isGapless: Bool
}

extension ScratchDatabase {
    /// The one number that a statement returns.
    func number(_ sql: String) async throws -> Int64 { try unwrap(try await query(sql).first).int8(0) }

    /// The one text that a statement returns.
    func text(_ sql: String) async throws -> String { try unwrap(try await query(sql).first).text(0) }

    func makeRooms(_ ids: String...) async throws {
        for id in ids { try await query("SELECT parley.create_room($1::text)", [.text(id)]) }
    }

    func log(of room: String) async throws -> RoomLog {
        let chunks = try await query(
            """
            SELECT u.first_seq, u.last_seq, u.body
            FROM parley.update_log u JOIN parley.room r ON r.room_no = u.room_no
            WHERE r.room_id = $1::text ORDER BY u.last_seq
            """, [.text(room)]
        ).map { RoomLog.Chunk(first: $0.int8(0), last: $0.int8(1), body: $0.text(2)) }
        let head = try await query("SELECT last_seq FROM parley.rooms WHERE room_id = $1::text", [.text(room)])
        var next: Int64 = 1
        for chunk in chunks {
            guard chunk.first == next else { return RoomLog(chunks: chunks, isGapless: false) }
            next = chunk.last + 1
        }
        return RoomLog(chunks: chunks, isGapless: try unwrap(head.first).int8(0) == next - 1)
    }

    /// Expects the statement to be refused with this SQLSTATE, a hint, and nothing left behind in any room.
    func expectRefusal(
        _ sqlState: String, _ sql: String, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let before = try await number("SELECT COALESCE(sum(last_seq), 0)::int8 FROM parley.room")
        let error = await #expect(throws: PostgresError.self, "\(sql)", sourceLocation: sourceLocation) {
            try await query(sql)
        }
        guard case .server(let state, _, _, let hint, _) = error else { return }
        #expect(state == sqlState, "\(sql): \(String(describing: error))", sourceLocation: sourceLocation)
        #expect(hint?.isEmpty == false, "\(sql) gives no hint", sourceLocation: sourceLocation)
        let after = try await number("SELECT COALESCE(sum(last_seq), 0)::int8 FROM parley.room")
        #expect(after == before, "\(sql) left something behind", sourceLocation: sourceLocation)
    }
}
