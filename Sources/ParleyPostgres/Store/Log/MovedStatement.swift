internal import ParleyCore

/// Which members of a room other nodes have taken over since a claim, or SQL has removed, and the claim up to which
/// that is all.
enum MovedStatement {
    /// One snapshot: the claim of a room and its members' nodes change in the same transaction.
    static let statement = Statement(
        name: "moved-members",
        sql: """
            SELECT c.ix::int4, r.claim_seq, (
                SELECT array_agg(s.client_id::text)
                FROM parley.member m
                JOIN parley.session s ON s.session_no = m.session_no
                WHERE m.room_no = r.room_no AND m.claim > c.claim AND m.node_no <> $1::int8), (
                SELECT array_agg(s.client_id::text)
                FROM parley.member m
                JOIN parley.session s ON s.session_no = m.session_no
                WHERE m.room_no = r.room_no AND m.claim > c.claim AND m.node_no = $1::int8 AND m.left_at IS NOT NULL)
            FROM unnest($2::int8[], $3::int8[]) WITH ORDINALITY c(room_no, claim, ix)
            JOIN parley.room r ON r.room_no = c.room_no
            WHERE r.closed_at IS NULL
            """)

    static func parameters(node: Int64, _ appends: [Append]) -> [Parameter] {
        [.int8(node), .int8Array(appends.map(\.room.value)), .int8Array(appends.map(\.claim))]
    }

    /// `.gone` for a room that is not there any more. Who was removed counts as moved, too, for what it has waiting.
    static func outcomes(
        _ rows: Rows, of appends: [Append]
    ) -> (outcomes: [AppendOutcome], removed: [EndedMembership]) {
        var outcomes = [AppendOutcome](repeating: .gone, count: appends.count)
        var ended: [EndedMembership] = []
        for row in rows {
            let index = Int(row.int4(0)) - 1
            guard outcomes.indices.contains(index) else { continue }
            let claim = row.int8(1)
            let members = (row.textArrayOrNil(2) ?? []).compactMap { $0.flatMap(ClientID.init) }
            let removed = (row.textArrayOrNil(3) ?? []).compactMap { $0.flatMap(ClientID.init) }
            outcomes[index] = .moved(claim: claim, members: Set(members + removed))
            ended += removed.map { EndedMembership(room: appends[index].room, claim: claim, clientID: $0) }
        }
        return (outcomes, ended)
    }
}
