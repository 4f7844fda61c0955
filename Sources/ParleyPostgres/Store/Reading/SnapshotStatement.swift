internal import ParleyCore

/// The heads of rooms and a part of each one's log, all in one snapshot. Every row begins with the place of its
/// question.
enum SnapshotStatement {
    /// Bytes of one answer, about: a question's own share is smaller when there are many.
    static let bytesTogetherMax = 16 << 20
    static let bytesShareMin = 64 << 10
    /// Rows of the log that a snapshot after a place reads at most. What is left comes as updates.
    static let rowsMax: Int32 = 4_096

    /// The newest changes: rows from the newest backwards until there are enough changes or bytes; the last row may
    /// have more than is wanted. The lengths are known without unpacking the bodies.
    static let recent = Statement(
        name: "snapshot-recent",
        sql: """
            SELECT q.ix::int4, r.last_seq, r.first_seq, r.tag, r.edge_tag, h.tag, u.first_seq, u.last_seq, u.tag, u.body,
                CASE WHEN row_number() OVER (PARTITION BY q.ix ORDER BY u.last_seq) = 1 THEN (
                    SELECT ARRAY['{' || string_agg(to_json(v.key)::text || ':' || v.value, ',') || '}',
                        '{' || string_agg(to_json(v.key)::text || ':' || v.seq, ',') || '}']
                    FROM parley.room_value v WHERE v.room_no = r.room_no) END
            FROM unnest($1::int8[], $2::int4[], $3::int4[]) WITH ORDINALITY q(room_no, count, bytes, ix)
            JOIN parley.room r ON r.room_no = q.room_no AND r.closed_at IS NULL
            LEFT JOIN parley.update_log h ON h.room_no = r.room_no AND h.last_seq = r.last_seq
            LEFT JOIN LATERAL (
                SELECT w.first_seq, w.last_seq, w.tag, w.body
                FROM (
                    SELECT u.first_seq, u.last_seq, u.tag, u.body,
                        sum(octet_length(u.body)) OVER newer - octet_length(u.body) AS bytes_newer
                    FROM parley.update_log u
                    WHERE u.room_no = r.room_no AND u.last_seq > r.last_seq - q.count
                    WINDOW newer AS (ORDER BY u.last_seq DESC ROWS UNBOUNDED PRECEDING)
                ) w
                WHERE w.bytes_newer < q.bytes
            ) u ON true
            ORDER BY q.ix, u.last_seq
            """)

    /// The oldest changes after a place, with the chunk that covers the place.
    static let after = Statement(
        name: "snapshot-after",
        sql: """
            SELECT q.ix::int4, r.last_seq, r.first_seq, r.tag, r.edge_tag, h.tag, u.first_seq, u.last_seq, u.tag, u.body,
                c.first_seq, c.tag
            FROM unnest($1::int8[], $2::int8[], $3::int4[]) WITH ORDINALITY q(room_no, after, bytes, ix)
            JOIN parley.room r ON r.room_no = q.room_no AND r.closed_at IS NULL
            LEFT JOIN parley.update_log h ON h.room_no = r.room_no AND h.last_seq = r.last_seq
            LEFT JOIN LATERAL (
                SELECT u.first_seq, u.tag
                FROM parley.update_log u
                WHERE u.room_no = r.room_no AND u.last_seq >= q.after
                ORDER BY u.last_seq
                LIMIT 1
            ) c ON true
            LEFT JOIN LATERAL (
                SELECT w.first_seq, w.last_seq, w.tag, w.body
                FROM (
                    SELECT u.first_seq, u.last_seq, u.tag, u.body,
                        sum(octet_length(u.body)) OVER older - octet_length(u.body) AS bytes_older
                    FROM parley.update_log u
                    WHERE u.room_no = r.room_no AND u.last_seq > q.after
                    WINDOW older AS (ORDER BY u.last_seq ROWS UNBOUNDED PRECEDING)
                    LIMIT $4::int4
                ) w
                -- The part of the first row that lies at or before the place does not count.
                WHERE w.bytes_older < q.bytes + $5::int4
            ) u ON true
            ORDER BY q.ix, u.last_seq
            """)

    /// One for each of `count` questions, in their order.
    static func readings(_ rows: Rows, count: Int) -> [Result<Reading, StoreError>] {
        var readings = [Reading?](repeating: nil, count: count)
        for row in rows {
            let place = Int(row.int4(0)) - 1
            if readings[place] == nil { readings[place] = Reading(first: row) }
            if let run = Reading.run(row) { readings[place]?.runs.append(run) }
        }
        return readings.map { $0.map { .success($0) } ?? .failure(.roomNotFound) }
    }

    /// What both say of a room.
    struct Reading: Sendable {
        var head: Position
        var first: Seq
        var roomTag: Tag
        /// Of the place before `first`, whose chunk is no longer kept; nil when the log is whole.
        var edgeTag: Tag?
        var runs: [Run]
        /// The chunk in which the asked place lies; nil when there is none or it is no longer kept.
        var cover: (first: Seq, tag: Tag)?
        /// Of the newest changes only.
        var values = RoomValues.none

        /// Without its runs.
        fileprivate init(first row: Row) {
            first = row.int8(2)
            roomTag = row.int4(3)
            edgeTag = row.int4OrNil(4)
            // The newest chunk may be gone too.
            head = Position(seq: row.int8(1), tag: row.int4OrNil(5) ?? edgeTag ?? roomTag)
            runs = []
            if row.columnCount == 12 {
                if let first = row.int8OrNil(10) { cover = (first, row.int4(11)) }
            } else if let texts = row.textArrayOrNil(10), texts.count == 2, let found = texts[0],
                let versions = texts[1]
            {
                values = RoomValues(values: Array(found.utf8), versions: Array(versions.utf8))
            }
        }

        fileprivate static func run(_ row: Row) -> Run? {
            guard !row.isNull(6) else { return nil }
            return Run(from: row.int8(6), to: row.int8(7), tag: row.int4(8), body: row.bytes(9))
        }
    }
}
