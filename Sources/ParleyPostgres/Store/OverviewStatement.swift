internal import ParleyCore

/// Nodes and rooms in one statement: a row for each, told apart by the first column.
enum OverviewStatement {
    /// As `parley.nodes` and `parley.rooms` have it, but for the members, which that view counts to the last.
    static let read = Statement(
        name: "overview",
        sql: """
            WITH node AS (
                SELECT n.node_no, n.name, n.address, n.version, n.dead_at, n.started_at
                FROM parley.node n
                WHERE n.dead_at IS NULL OR n.dead_at > clock_timestamp() - $2::int4 * interval '1 ms'
                ORDER BY n.dead_at DESC NULLS FIRST, n.node_no
                LIMIT $3::int4
            )
            SELECT true, (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::int8, n.node_no, n.name, n.address, n.version,
                n.dead_at IS NULL AND COALESCE(w.lease_until > clock_timestamp(), false),
                (EXTRACT(EPOCH FROM w.lease_until - clock_timestamp()) * 1000)::int8,
                (EXTRACT(EPOCH FROM clock_timestamp() - n.started_at) * 1000)::int8, COALESCE(w.batches, 0)::int8,
                (SELECT count(*) FROM (
                    SELECT FROM parley.member m WHERE m.node_no = n.node_no AND m.left_at IS NULL LIMIT $4::int4) m)
            FROM node n
            LEFT JOIN LATERAL (
                SELECT max(w.lease_until) AS lease_until, sum(w.last_batch) AS batches
                FROM parley.writer w
                WHERE w.node_no = n.node_no
            ) w ON true
            UNION ALL
            SELECT false, (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::int8, r.last_seq, r.room_id::text, NULL, NULL, NULL,
                NULL, NULL, NULL, r.member_count::int8
            FROM unnest($1::int8[]) wanted (room_no)
            JOIN parley.room r ON r.room_no = wanted.room_no AND r.closed_at IS NULL
            """)

    static func parameters(_ rooms: [RoomNumber]) -> [Parameter] {
        [
            .int8Array(rooms.map(\.value)), .milliseconds(Overview.deadFor), .int4(Int32(Overview.nodesMax)),
            .int4(Int32(Overview.membersMax)),
        ]
    }

    static func overview(_ rows: Rows) -> Overview {
        var overview = Overview(at: rows.first?.int8(1) ?? 0, nodes: [], rooms: [])
        for row in rows {
            if row.bool(0) {
                overview.nodes.append(
                    Overview.Node(
                        number: row.int8(2), name: row.text(3), address: row.textOrNil(4), version: row.text(5),
                        isAlive: row.bool(6), leaseLeftMs: row.int8OrNil(7), ageMs: row.int8(8), batches: row.int8(9),
                        members: Int(row.int8(10))))
            } else if let id = RoomID(row.text(3)) {
                overview.rooms.append(Overview.Room(id: id, lastSeq: row.int8(2), members: Int(row.int8(10))))
            }
        }
        return overview
    }
}
