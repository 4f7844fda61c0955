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
            SELECT r.room_no, r.claim_seq, c.claim, c.count, c.tag, c.body, c.refused, c.ix
            FROM unnest($6::int8[], $7::int8[], $8::int4[], $9::int4[], $10::text[], $11::text[])
                WITH ORDINALITY c(room_no, claim, count, tag, body, refused, ix)
            JOIN parley.room r ON r.room_no = c.room_no
            WHERE r.closed_at IS NULL AND EXISTS (SELECT FROM fence)
            ORDER BY r.room_no
            \(lock)
        ), counted AS (
            UPDATE parley.room r SET last_seq = r.last_seq + l.count
            FROM locked l
            WHERE r.room_no = l.room_no AND l.claim_seq = l.claim
            RETURNING r.room_no, r.last_seq, l.count, l.tag, l.body, l.refused, l.ix
        ), logged AS (
            INSERT INTO parley.update_log (room_no, last_seq, first_seq, tag, refused, body)
            SELECT room_no, last_seq, last_seq - count + 1, tag, refused, body FROM counted
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
            .textArray(appends.map(\.body)), .textArray(appends.map { RefusedList.text($0.refused) }),
        ]
    }

    /// nil for a room of which the answer says nothing; the whole is nil when the writer was fenced. Which members have
    /// moved is another question: `MovedStatement`.
    static func outcomes(_ rows: Rows, of appends: [Append]) -> [AppendOutcome?]? {
        guard !rows.isEmpty else { return nil }
        var outcomes = [AppendOutcome?](repeating: nil, count: appends.count)
        for row in rows {
            let index = Int(row.int4(0)) - 1
            guard outcomes.indices.contains(index) else { continue }
            outcomes[index] =
                row.int8OrNil(1).map { .applied(base: $0) } ?? .moved(claim: row.int8(2), members: [])
        }
        return outcomes
    }
}
