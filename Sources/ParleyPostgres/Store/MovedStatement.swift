internal import ParleyCore

/// Which members of a room other nodes have taken over since a claim, and the claim up to which that is all.
enum MovedStatement {
    /// One snapshot: the claim of a room and its members' nodes change in the same transaction.
    static let statement = Statement(
        name: "moved-members",
        sql: """
            SELECT c.ix::int4, r.claim_seq, (
                SELECT array_agg(s.client_id::text)
                FROM parley.member m
                JOIN parley.session s ON s.session_no = m.session_no
                WHERE m.room_no = r.room_no AND m.claim > c.claim AND m.node_no <> $1::int8)
            FROM unnest($2::int8[], $3::int8[]) WITH ORDINALITY c(room_no, claim, ix)
            JOIN parley.room r ON r.room_no = c.room_no
            WHERE r.closed_at IS NULL
            """)

    static func parameters(node: Int64, _ appends: [Append]) -> [Parameter] {
        [.int8(node), .int8Array(appends.map(\.room.value)), .int8Array(appends.map(\.claim))]
    }

    /// `.gone` for a room that is not there any more.
    static func outcomes(_ rows: Rows, of appends: [Append]) -> [AppendOutcome] {
        var outcomes = [AppendOutcome](repeating: .gone, count: appends.count)
        for row in rows {
            let index = Int(row.int4(0)) - 1
            guard outcomes.indices.contains(index) else { continue }
            let members = (row.textArrayOrNil(2) ?? []).compactMap { $0.flatMap(ClientID.init) }
            outcomes[index] = .moved(claim: row.int8(1), members: Set(members))
        }
        return outcomes
    }
}
