internal import ParleyCore

/// The batch: one statement, one transaction, one small row for each room.
///
/// The server has it all before it begins and its answer fits the socket's buffer, so that a node that pauses never
/// leaves a backend inside the transaction with its locks. What decides is read from the rows of `room` after they
/// are locked: any other table would show what was there before the wait for the lock.
enum AppendStatement {
    /// Waits for locked rooms, up to `lock_timeout`; then the whole batch fails with 55P03.
    static let waiting = Statement(name: "append", sql: sql(lock: "FOR NO KEY UPDATE OF r"))
    /// Leaves locked rooms out of the answer.
    static let skipping = Statement(name: "append-skip-locked", sql: sql(lock: "FOR NO KEY UPDATE OF r SKIP LOCKED"))

    /// The first row stands for the fence: without it the writer's term is over and nothing was done. Then one for
    /// each room that is there, with `base` when it was applied and without when its claim has moved. No join brings
    /// the two together, for its plan would be quadratic.
    private static func sql(lock: String) -> String {
        """
        WITH fence AS (
            UPDATE parley.writer
            SET last_batch = $4::int8, lease_until = clock_timestamp() + $5::int4 * interval '1 ms'
            WHERE writer_no = $1::int8 AND incarnation = $2::int8 AND epoch = $3::int8 AND dead_at IS NULL
            RETURNING last_batch
        ), locked AS MATERIALIZED (
            SELECT r.room_no, r.claim_seq, c.claim, c.count, c.tag, c.body, c.ix
            FROM unnest($6::int8[], $7::int8[], $8::int4[], $9::int4[], $10::text[])
                WITH ORDINALITY c(room_no, claim, count, tag, body, ix)
            JOIN parley.room r ON r.room_no = c.room_no
            WHERE r.closed_at IS NULL AND EXISTS (SELECT FROM fence)
            ORDER BY r.room_no
            \(lock)
        ), counted AS (
            UPDATE parley.room r SET last_seq = r.last_seq + l.count
            FROM locked l
            WHERE r.room_no = l.room_no AND l.claim_seq = l.claim
            RETURNING r.room_no, r.last_seq, l.count, l.tag, l.body, l.ix
        ), logged AS (
            INSERT INTO parley.update_log (room_no, last_seq, first_seq, tag, body)
            SELECT room_no, last_seq, last_seq - count + 1, tag, body FROM counted
        )
        SELECT 0 AS ix, NULL::int8 AS base, last_batch AS claim FROM fence
        UNION ALL
        SELECT ix::int4, NULL, claim_seq FROM locked WHERE claim_seq <> claim
        UNION ALL
        SELECT ix::int4, last_seq - count, NULL FROM counted
        """
    }

    static func parameters(
        _ appends: [Append], term: WriterSeat.Term, batch: Int64, lease: Duration
    ) -> [Parameter] {
        [
            .int8(term.writer), .int8(term.node.incarnation), .int8(term.epoch), .int8(batch),
            .milliseconds(lease), .int8Array(appends.map(\.room.value)), .int8Array(appends.map(\.claim)),
            .int4Array(appends.map { Int32(clamping: $0.count) }), .int4Array(appends.map(\.tag)),
            .textArray(appends.map(\.body)),
        ]
    }

    /// nil for a room of which the answer says nothing; the whole is nil when the writer was fenced.
    static func outcomes(_ rows: Rows, of appends: [Append]) -> [AppendOutcome?]? {
        guard !rows.isEmpty else { return nil }
        var outcomes = [AppendOutcome?](repeating: nil, count: appends.count)
        for row in rows {
            let index = Int(row.int4(0)) - 1
            guard outcomes.indices.contains(index) else { continue }
            outcomes[index] = row.int8OrNil(1).map { .applied(base: $0) } ?? .moved(claim: row.int8(2))
        }
        return outcomes
    }
}

/// Finds what a batch did whose answer was lost, by the random tags of its chunks.
enum ReadBackStatement {
    /// Newest first and without the bodies, so that it is short when the chunk is there; for one that is not, it
    /// goes through the room's whole log, which only happens to rooms that were refused in a batch of lost answer.
    static let statement = Statement(
        name: "read-back",
        sql: """
            SELECT c.ix::int4, r.last_seq, r.claim_seq, (
                SELECT u.first_seq - 1
                FROM parley.update_log u
                WHERE u.room_no = c.room_no AND u.tag = c.tag AND u.last_seq - u.first_seq + 1 = c.count
                    AND octet_length(u.body) = c.bytes
                ORDER BY u.last_seq DESC
                LIMIT 1)
            FROM unnest($1::int8[], $2::int4[], $3::int4[], $4::int4[])
                WITH ORDINALITY c(room_no, tag, count, bytes, ix)
            JOIN parley.room r ON r.room_no = c.room_no
            WHERE r.closed_at IS NULL
            """)

    static func parameters(_ appends: [Append]) -> [Parameter] {
        [
            .int8Array(appends.map(\.room.value)), .int4Array(appends.map(\.tag)),
            .int4Array(appends.map { Int32(clamping: $0.count) }),
            .int4Array(appends.map { Int32(clamping: $0.body.count) }),
        ]
    }

    /// What is known of one room.
    struct Finding {
        /// nil when the room is gone.
        var room: (lastSeq: Seq, claim: Int64)?
        /// nil when the chunk is not in the log.
        var base: Seq?
    }

    static func findings(_ rows: Rows, of appends: [Append]) -> [Finding] {
        var findings = [Finding](repeating: Finding(), count: appends.count)
        for row in rows {
            let index = Int(row.int4(0)) - 1
            guard findings.indices.contains(index) else { continue }
            findings[index] = Finding(room: (row.int8(1), row.int8(2)), base: row.int8OrNil(3))
        }
        return findings
    }
}
