internal import ParleyCore

/// Reads of many rooms at once.
enum LogStatement {
    /// Rows and bytes of one room in one read; at least one row. More is fetched by reading again.
    static let rowsMax: Int32 = 512
    static let bytesMax: Int32 = 1 << 20
    /// Bytes of one read over all its rooms, about: a room's own share is smaller when there are many.
    static let bytesTogetherMax: Int32 = 16 << 20
    static let bytesShareMin: Int32 = 64 << 10

    static let read = Statement(
        name: "read-log",
        sql: """
            SELECT c.ix::int4, u.first_seq, u.last_seq, u.tag, u.body, r.last_seq
            FROM unnest($1::int8[], $2::int8[]) WITH ORDINALITY c(room_no, after, ix)
            JOIN parley.room r ON r.room_no = c.room_no
            CROSS JOIN LATERAL (
                SELECT w.first_seq, w.last_seq, w.tag, w.body
                FROM (
                    SELECT u.first_seq, u.last_seq, u.tag, u.body,
                        sum(octet_length(u.body)) OVER older - octet_length(u.body) AS bytes_older
                    FROM parley.update_log u
                    WHERE u.room_no = c.room_no AND u.last_seq > c.after
                    WINDOW older AS (ORDER BY u.last_seq ROWS UNBOUNDED PRECEDING)
                    LIMIT $3::int4
                ) w
                WHERE w.bytes_older < $4::int4
            ) u
            WHERE r.last_seq > c.after
            ORDER BY c.ix, u.last_seq
            """)

    static func parameters(_ cursors: [LogCursor]) -> [Parameter] {
        let share = bytesTogetherMax / Int32(clamping: max(1, cursors.count))
        return [
            .int8Array(cursors.map(\.room.value)), .int8Array(cursors.map(\.after)), .int4(rowsMax),
            .int4(min(bytesMax, max(bytesShareMin, share))),
        ]
    }

    /// One for each cursor, in their order; nil where there is no news.
    static func reads(_ rows: Rows, of cursors: [LogCursor]) -> [LogRead?] {
        var reads = [LogRead?](repeating: nil, count: cursors.count)
        for row in rows {
            let place = Int(row.int4(0)) - 1
            let run = Run(from: row.int8(1), to: row.int8(2), tag: row.int4(3), body: row.bytes(4))
            var read = reads[place].take() ?? LogRead(room: cursors[place].room, runs: [], more: false)
            read.runs.append(run)
            read.more = run.to < row.int8(5)
            reads[place] = read
        }
        return reads
    }

    static let heads = Statement(
        name: "heads",
        sql: """
            SELECT r.room_no, r.last_seq, r.roster_seq
            FROM parley.room r
            WHERE r.room_no = ANY ($1::int8[]) AND r.closed_at IS NULL
            """)
}
