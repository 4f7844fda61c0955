internal import ParleyCore

/// Learns from the log which ids of a member were settled: from what `MarksKeeper` has noted of it, and from what came
/// since. The log is the record of what was applied; there is no other.
enum MarksStatement {
    /// For members named by room and session, in any number.
    static let ofMembers = Statement(
        name: "marks-of-members",
        sql: """
            SELECT q.ix::int4, m.profile, greatest(applied.id, pruned.last_id), refused.lists, s.client_id::text, pruned.refused
            FROM unnest($1::int8[], $2::bytea[]) WITH ORDINALITY q(room_no, session_key, ix)
            JOIN parley.session s ON s.session_key = q.session_key
            JOIN parley.member m ON m.room_no = q.room_no AND m.session_no = s.session_no
            LEFT JOIN parley.mark_checkpoint c ON c.room_no = m.room_no
            \(marks)
            """)

    /// In all rooms in which these sessions are now.
    static let ofSessions = Statement(
        name: "marks-of-sessions",
        sql: """
            SELECT q.ix::int4, r.room_id::text, greatest(applied.id, pruned.last_id), refused.lists, s.client_id::text,
                pruned.refused, r.last_seq, r.room_no, COALESCE(c.last_seq, 0)
            FROM unnest($1::bytea[]) WITH ORDINALITY q(session_key, ix)
            JOIN parley.session s ON s.session_key = q.session_key
            JOIN parley.member m ON m.session_no = s.session_no AND m.left_at IS NULL
            JOIN parley.room r ON r.room_no = m.room_no AND r.closed_at IS NULL
            LEFT JOIN parley.mark_checkpoint c ON c.room_no = m.room_no
            \(marks)
            ORDER BY q.ix, r.room_no
            """)

    /// From the newest chunk backwards to the first that holds a change of the client with an id; ids rise, so that it
    /// holds the highest. Looking for the text finds few other chunks, since nodes write the head of each change in
    /// just this form; but a payload may hold the same text, so that only the changes of a chunk decide.
    private static let marks = """
        LEFT JOIN LATERAL (
            SELECT hit.id
            FROM (
                SELECT u.last_seq, (
                    SELECT max((e.change ->> 'id')::int8)
                    FROM json_array_elements(('[' || u.body || ']')::json) e(change)
                    WHERE e.change ->> 'clientId' = s.client_id::text) AS id
                FROM parley.update_log u
                WHERE u.room_no = m.room_no AND u.last_seq > greatest(m.joined_seq, c.last_seq)
                    AND strpos(u.body, '{"clientId":"' || s.client_id::text || '","id":') > 0
                ORDER BY u.last_seq DESC
                OFFSET 0
            ) hit
            WHERE hit.id IS NOT NULL
            ORDER BY hit.last_seq DESC
            LIMIT 1
        ) applied ON true
        LEFT JOIN LATERAL (
            SELECT array_agg(u.refused) AS lists
            FROM (
                SELECT u.refused
                FROM parley.update_log u
                WHERE u.room_no = m.room_no AND u.last_seq > greatest(m.joined_seq, c.last_seq) AND u.refused IS NOT NULL
                    AND strpos(' ' || u.refused, ' ' || s.client_id::text || '=') > 0
                ORDER BY u.last_seq DESC
                LIMIT \(Limits.refusedMax)
            ) u
        ) refused ON true
        LEFT JOIN LATERAL (
            SELECT k.last_id, array_to_string(k.refused, ',') AS refused
            FROM parley.member_mark k
            WHERE k.room_no = m.room_no AND k.session_no = m.session_no
        ) pruned ON true
        """

    /// Ids of one member that were refused, of which no chunk tells.
    static let noteRefused = Statement(
        name: "note-refused",
        sql: """
            INSERT INTO parley.member_mark AS k (room_no, session_no, last_id, refused)
            SELECT m.room_no, m.session_no, 0, ARRAY(SELECT i FROM unnest($3::int8[]) i ORDER BY i DESC)
            FROM parley.session s
            JOIN parley.member m ON m.session_no = s.session_no AND m.room_no = $1::int8
            WHERE s.session_key = $2::bytea
            ON CONFLICT ON CONSTRAINT member_mark_pkey DO UPDATE
            SET refused = ARRAY(
                SELECT DISTINCT r.id FROM unnest(k.refused || EXCLUDED.refused) r(id)
                ORDER BY r.id DESC
                LIMIT \(Limits.refusedMax))
            """)

    /// Columns 2 to 5 of both.
    static func marks(_ row: Row) -> Marks {
        let client = row.text(4)
        let refused =
            (row.textArrayOrNil(3) ?? []).flatMap { RefusedList.ids(of: client, in: $0 ?? "") }
            + RefusedList.ids(row.textOrNil(5) ?? "")
        let applied = row.int8OrNil(2) ?? 0
        return Marks(
            lastID: max(applied, refused.max() ?? 0),
            refused: Set(refused).sorted().suffix(Limits.refusedMax).map { $0 })
    }
}

/// The column `refused` of the log: `client=3,5 other=7`, where a client may stand more than once.
enum RefusedList {
    /// nil for none.
    static func text(_ refused: [RefusedIDs]) -> String? {
        guard !refused.isEmpty else { return nil }
        return refused.map { member in
            "\(member.clientID)=\(member.ids.map(String.init).joined(separator: ","))"
        }.joined(separator: " ")
    }

    static func ids(of client: String, in text: String) -> [Int64] {
        text.split(separator: " ").flatMap { entry in
            let sides = entry.split(separator: "=", maxSplits: 1)
            return sides.count == 2 && sides[0] == client ? ids(sides[1]) : []
        }
    }

    static func ids(_ list: some StringProtocol) -> [Int64] { list.split(separator: ",").compactMap { Int64($0) } }
}
