internal import ParleyCore

/// Statements about sessions and their sockets.
enum SessionStatement {
    static let takeUp = Statement(
        name: "take-up",
        sql: """
            SELECT ix, socket_no, batch
            FROM parley.take_up($1::int8, $2::int8, $3::int8, $4::int4, $5::bytea[], $6::text[], $7::text[])
            """)

    static func parameters(
        _ sessions: [SessionIdentity], term: WriterSeat.Term, lease: Duration
    ) -> [Parameter] {
        [
            .int8(term.writer), .int8(term.node.incarnation), .int8(term.epoch), .milliseconds(lease),
            .byteaArray(sessions.map(\.key.bytes)), .textArray(sessions.map(\.clientID.text)),
            .textArray(sessions.map(\.userID)),
        ]
    }

    /// The sockets' numbers in the order of the sessions; nil when the writer was fenced.
    static func takenUp(_ rows: Rows) -> (batch: Int64, numbers: [Int64])? {
        rows.first.map { ($0.int8(2), rows.map { $0.int8(1) }) }
    }

    static let overtaken = Statement(
        name: "overtaken-sockets",
        sql: """
            SELECT s.client_id::text, s.socket_no
            FROM unnest($1::bytea[], $2::int8[]) q(session_key, socket_no)
            JOIN parley.session s ON s.session_key = q.session_key
            WHERE s.socket_no > q.socket_no
            """)
}
