internal import ParleyCore

/// A room's head and a part of its log in one snapshot.
enum SnapshotStatement {
    /// Rows of the log that a snapshot after a place reads at most. What is left comes as updates.
    static let rowsMax: Int32 = 4_096

    /// The newest changes: rows from the newest backwards until there are enough changes or bytes; the last row may have
    /// more than is wanted. The lengths are known without unpacking the bodies.
    static let recent = Statement(
        name: "snapshot-recent",
        sql: """
            SELECT r.last_seq, r.first_seq, r.tag, r.edge_tag, h.tag, u.first_seq, u.last_seq, u.tag, u.body,
                CASE WHEN row_number() OVER (ORDER BY u.last_seq) = 1 THEN (
                    SELECT ARRAY['{' || string_agg(to_json(v.key)::text || ':' || v.value, ',') || '}',
                        '{' || string_agg(to_json(v.key)::text || ':' || v.seq, ',') || '}']
                    FROM parley.room_value v WHERE v.room_no = r.room_no) END
            FROM parley.room r
            LEFT JOIN parley.update_log h ON h.room_no = r.room_no AND h.last_seq = r.last_seq
            LEFT JOIN LATERAL (
                SELECT w.first_seq, w.last_seq, w.tag, w.body
                FROM (
                    SELECT u.first_seq, u.last_seq, u.tag, u.body,
                        sum(octet_length(u.body)) OVER newer - octet_length(u.body) AS bytes_newer
                    FROM parley.update_log u
                    WHERE u.room_no = r.room_no AND u.last_seq > r.last_seq - $2::int4
                    WINDOW newer AS (ORDER BY u.last_seq DESC ROWS UNBOUNDED PRECEDING)
                ) w
                WHERE w.bytes_newer < $3::int4
            ) u ON true
            WHERE r.room_no = $1::int8 AND r.closed_at IS NULL
            ORDER BY u.last_seq
            """)

    /// The oldest changes after a place, with the chunk that covers the place.
    static let after = Statement(
        name: "snapshot-after",
        sql: """
            SELECT r.last_seq, r.first_seq, r.tag, r.edge_tag, h.tag, u.first_seq, u.last_seq, u.tag, u.body,
                c.first_seq, c.tag
            FROM parley.room r
            LEFT JOIN parley.update_log h ON h.room_no = r.room_no AND h.last_seq = r.last_seq
            LEFT JOIN LATERAL (
                SELECT u.first_seq, u.tag
                FROM parley.update_log u
                WHERE u.room_no = r.room_no AND u.last_seq >= $2::int8
                ORDER BY u.last_seq
                LIMIT 1
            ) c ON true
            LEFT JOIN LATERAL (
                SELECT w.first_seq, w.last_seq, w.tag, w.body
                FROM (
                    SELECT u.first_seq, u.last_seq, u.tag, u.body,
                        sum(octet_length(u.body)) OVER older - octet_length(u.body) AS bytes_older
                    FROM parley.update_log u
                    WHERE u.room_no = r.room_no AND u.last_seq > $2::int8
                    WINDOW older AS (ORDER BY u.last_seq ROWS UNBOUNDED PRECEDING)
                    LIMIT $4::int4
                ) w
                -- The part of the first row that lies at or before the place does not count.
                WHERE w.bytes_older < $3::int4 + $5::int4
            ) u ON true
            WHERE r.room_no = $1::int8 AND r.closed_at IS NULL
            ORDER BY u.last_seq
            """)

    /// What both say.
    struct Reading {
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

        /// nil when there is no such room.
        init?(_ rows: Rows) {
            guard let row = rows.first else { return nil }
            first = row.int8(1)
            roomTag = row.int4(2)
            edgeTag = row.int4OrNil(3)
            // The newest chunk may be gone too.
            head = Position(seq: row.int8(0), tag: row.int4OrNil(4) ?? edgeTag ?? roomTag)
            runs = rows.compactMap { row in
                guard !row.isNull(5) else { return nil }
                return Run(from: row.int8(5), to: row.int8(6), tag: row.int4(7), body: row.bytes(8))
            }
            if row.columnCount == 11 {
                if let first = row.int8OrNil(9) { cover = (first, row.int4(10)) }
            } else if let texts = row.textArrayOrNil(9), texts.count == 2, let found = texts[0], let versions = texts[1]
            {
                values = RoomValues(values: Array(found.utf8), versions: Array(versions.utf8))
            }
        }
    }
}

/// Whether what a client knows of a room continues in the log. Pure.
enum ResumeJudgement: Equatable {
    /// `base` is the place after which the client goes on, with the tag that belongs to it.
    case continues(base: Position)
    case reset
    case diverged

    init(_ point: ResumePoint, in reading: SnapshotStatement.Reading) {
        let seq = point.seq
        guard seq <= reading.head.seq else {
            self = .diverged
            return
        }
        let cover = reading.cover.flatMap { $0.first <= seq ? $0.tag : nil }
        let edge = seq == reading.first - 1 ? reading.edgeTag : nil
        let tag = seq == 0 ? reading.roomTag : cover ?? edge
        switch point {
        case .position(let position):
            guard let tag else {
                self = .reset
                return
            }
            guard tag == position.tag else {
                self = .diverged
                return
            }
        case .seq: break
        }
        // A room's own tag proves the room, not that its first changes are still kept.
        self = seq >= reading.first - 1 ? .continues(base: Position(seq: seq, tag: tag ?? reading.roomTag)) : .reset
    }
}
