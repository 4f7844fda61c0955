internal import ParleyCore

/// Finds what a batch did whose answer was lost, by the random tags of its chunks.
enum ReadBackStatement {
    /// Only what was written since the batch's inputs came. Without the bodies, but for judged appends: only a body says
    /// which of the inputs were accepted.
    static let statement = Statement(
        name: "read-back",
        sql: """
            SELECT c.ix::int4, r.last_seq, r.claim_seq, f.base, f.body
            FROM unnest($1::int8[], $2::int8[], $3::int4[], $4::int4[], $5::int4[])
                WITH ORDINALITY c(room_no, after, tag, count, bytes, ix)
            JOIN parley.room r ON r.room_no = c.room_no
            LEFT JOIN LATERAL (
                SELECT u.first_seq - 1 AS base, CASE WHEN c.count = 0 THEN u.body END AS body
                FROM parley.update_log u
                WHERE u.room_no = c.room_no AND u.last_seq > c.after AND u.tag = c.tag
                    AND (c.count = 0 OR u.last_seq - u.first_seq + 1 = c.count AND octet_length(u.body) = c.bytes)
                ORDER BY u.last_seq DESC
                LIMIT 1
            ) f ON true
            WHERE r.closed_at IS NULL
            """)

    static func parameters(_ appends: [Append]) -> [Parameter] {
        [
            .int8Array(appends.map(\.room.value)), .int8Array(appends.map(\.after)), .int4Array(appends.map(\.tag)),
            // Of a judged one nobody knows how much of it was written: what was has to be looked at.
            .int4Array(appends.map { Int32(clamping: $0.judged == nil ? $0.count : 0) }),
            .int4Array(appends.map { Int32(clamping: $0.body.count) }),
        ]
    }

    /// What is known of one room.
    struct Finding {
        /// nil when the room is gone.
        var room: (lastSeq: Seq, claim: Int64)?
        /// nil when the chunk is not in the log.
        var base: Seq?
        /// Of the chunk of a judged append.
        var body: [UInt8]?
    }

    static func findings(_ rows: Rows, of appends: [Append]) -> [Finding] {
        var findings = [Finding](repeating: Finding(), count: appends.count)
        for row in rows {
            let index = Int(row.int4(0)) - 1
            guard findings.indices.contains(index) else { continue }
            findings[index] = Finding(room: (row.int8(1), row.int8(2)), base: row.int8OrNil(3), body: row.bytesOrNil(4))
        }
        return findings
    }
}
