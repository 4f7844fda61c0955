internal import ParleyCore

/// Statements about sessions and their sockets.
enum SessionStatement {
    static let takeUp = Statement(
        name: "take-up",
        sql: """
            SELECT ix, socket_no, is_stale, batch
            FROM parley.take_up(
                $1::int8, $2::int8, $3::int8, $4::int4, $5::bytea[], $6::text[], $7::text[], $8::int8[], $9::int8[],
                $10::int8[], $11::int8[])
            """)

    static func parameters(
        _ requests: [TakeUpRequest], term: WriterSeat.Term, lease: Duration
    ) -> [Parameter] {
        [
            .int8(term.writer), .int8(term.node.incarnation), .int8(term.epoch), .milliseconds(lease),
            .byteaArray(requests.map(\.session.key.bytes)), .textArray(requests.map(\.session.clientID.text)),
            .textArray(requests.map(\.session.userID)),
            .int8Array(requests.map(\.shown)),
            .int8Array(requests.map { $0.endedWithin?.wholeMilliseconds }),
            .int8Array(requests.map { $0.openedMs?.lowerBound }),
            .int8Array(requests.map { $0.openedMs?.upperBound }),
        ]
    }

    /// What became of the sessions, in their order; nil when the writer was fenced.
    static func takenUp(_ rows: Rows) -> (batch: Int64, outcomes: [TakeUpRequest.Outcome])? {
        rows.first.map { first in
            (first.int8(3), rows.map { $0.int8OrNil(1).map { .taken($0) } ?? ($0.bool(2) ? .stale : .over) })
        }
    }

    static let overtaken = Statement(
        name: "overtaken-sockets",
        sql: """
            SELECT s.client_id::text, s.socket_no
            FROM unnest($1::bytea[], $2::int8[]) q(session_key, socket_no)
            JOIN parley.session s ON s.session_key = q.session_key
            WHERE s.socket_no > q.socket_no
            """)

    /// Locks the sessions in the order of their keys; the condition is judged again on what was locked.
    static let lapse = Statement(
        name: "lapse-sessions",
        sql: """
            WITH lost AS MATERIALIZED (
                SELECT q.ix, s.session_no, s.socket_no, q.ago
                FROM unnest($1::bytea[], $2::int8[], $3::int8[]) WITH ORDINALITY q(session_key, socket_no, ago, ix)
                JOIN parley.session s ON s.session_key = q.session_key
                WHERE s.socket_no = q.socket_no OR q.socket_no IS NULL AND s.node_no = $4::int8
                ORDER BY s.session_key
                FOR NO KEY UPDATE OF s
            ), noted AS (
                UPDATE parley.session s SET lost_at = clock_timestamp() - l.ago * interval '1 ms'
                FROM lost l
                WHERE s.session_no = l.session_no
            )
            SELECT l.ix::int4, l.socket_no, ARRAY(
                SELECT m.room_no FROM parley.member m WHERE m.session_no = l.session_no AND m.left_at IS NULL)
            FROM lost l
            """)

    static func parameters(_ sockets: [LostSocket], node: Int64?) -> [Parameter] {
        [
            .byteaArray(sockets.map(\.session.bytes)), .int8Array(sockets.map(\.number)),
            .int8Array(sockets.map(\.ago.wholeMilliseconds)), .int8(node),
        ]
    }

    static func lapsed(_ rows: Rows, of sockets: [LostSocket]) -> [LapsedSession] {
        rows.map { row in
            LapsedSession(
                session: sockets[Int(row.int4(0)) - 1].session, number: row.int8(1),
                rooms: row.int8Array(2).map(RoomNumber.init))
        }
    }
}
