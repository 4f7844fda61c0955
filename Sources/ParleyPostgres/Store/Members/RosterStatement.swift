internal import ParleyCore

/// Rosters of many rooms at once.
enum RosterStatement {
    /// From a cursor of 0 only those who are there; later all whose newest step is newer, also those who have left.
    static let read = Statement(
        name: "read-rosters",
        sql: """
            SELECT c.ix::int4, r.roster_seq, r.member_count, m.roster_seq, m.left_at IS NULL, s.client_id::text, s.user_id,
                m.profile
            FROM unnest($1::int8[], $2::int8[]) WITH ORDINALITY c(room_no, after, ix)
            JOIN parley.room r ON r.room_no = c.room_no AND r.closed_at IS NULL
            LEFT JOIN parley.member m
                ON m.room_no = c.room_no AND m.roster_seq > c.after AND (c.after > 0 OR m.left_at IS NULL)
            LEFT JOIN parley.session s ON s.session_no = m.session_no
            ORDER BY c.ix, m.roster_seq
            """)

    /// One for each cursor, in their order; nil where there is no such room.
    static func reads(_ rows: Rows, of cursors: [RosterCursor]) -> [RosterRead?] {
        var reads = [RosterRead?](repeating: nil, count: cursors.count)
        for row in rows {
            let place = Int(row.int4(0)) - 1
            if reads[place] == nil {
                reads[place] = RosterRead(
                    room: cursors[place].room, seq: row.int8(1), count: Int(row.int4(2)), changes: [])
            }
            guard !row.isNull(3), let client = ClientID(row.text(5)) else { continue }
            let isThere = row.bool(4)
            let member = Member(
                clientID: client, userID: row.textOrNil(6), profile: isThere ? row.bytesOrNil(7) : nil)
            reads[place]?.changes.append(
                RosterChange(seq: row.int8(3), kind: isThere ? .joined : .left, member: member))
        }
        return reads
    }
}
