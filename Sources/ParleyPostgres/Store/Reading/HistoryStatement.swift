internal import ParleyCore

/// Pages of the log. Rows are cut by bytes on the server, changes by the node.
enum HistoryStatement {
    /// The oldest changes between two places.
    static let ascending = Statement(
        name: "history-ascending",
        sql: """
            SELECT r.last_seq, r.first_seq, u.first_seq, u.last_seq, u.tag, u.body
            FROM parley.room r
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
                WHERE w.first_seq < $3::int8 AND w.bytes_older < $5::int4 + $6::int4
            ) u ON true
            WHERE r.room_no = $1::int8 AND r.closed_at IS NULL
            ORDER BY u.last_seq
            """)

    /// The newest changes before a place.
    static let descending = Statement(
        name: "history-descending",
        sql: """
            SELECT r.last_seq, r.first_seq, u.first_seq, u.last_seq, u.tag, u.body
            FROM parley.room r
            LEFT JOIN LATERAL (
                SELECT w.first_seq, w.last_seq, w.tag, w.body
                FROM (
                    SELECT u.first_seq, u.last_seq, u.tag, u.body,
                        sum(octet_length(u.body)) OVER newer - octet_length(u.body) AS bytes_newer
                    FROM parley.update_log u
                    WHERE u.room_no = r.room_no AND u.last_seq >= least($2::int8, r.last_seq + 1) - $3::int4
                        AND u.last_seq <= COALESCE((
                            SELECT min(c.last_seq) FROM parley.update_log c
                            WHERE c.room_no = r.room_no AND c.last_seq >= $2::int8 - 1), r.last_seq)
                    WINDOW newer AS (ORDER BY u.last_seq DESC ROWS UNBOUNDED PRECEDING)
                ) w
                WHERE w.bytes_newer < $4::int4 + $5::int4
            ) u ON true
            WHERE r.room_no = $1::int8 AND r.closed_at IS NULL
            ORDER BY u.last_seq
            """)

    /// nil when there is no such room.
    static func page(_ rows: Rows, _ request: HistoryRequest) -> HistoryPage? {
        guard let row = rows.first else { return nil }
        let (last, first) = (row.int8(0), row.int8(1))
        let runs = rows.compactMap { row in
            row.isNull(2)
                ? nil : Run(from: row.int8(2), to: row.int8(3), tag: row.int4(4), body: row.bytes(5))
        }
        return page(runs, last: last, first: first, request)
    }

    static func page(_ runs: [Run], last: Seq, first: Seq, _ request: HistoryRequest) -> HistoryPage {
        // The bounds as places that may be in the page.
        let lowest = max(first, (request.after ?? 0).clampedToSuccessor)
        let highest = min(last, (request.before ?? .max) - 1)
        let within = runs.compactMap { $0.suffix(after: lowest - 1)?.prefix(through: highest) }
        let limit = max(0, request.limit)
        let isAscending = request.after != nil
        let cut = RunCut(changesMax: limit, bytesMax: request.bytesMax, takesOne: true)
        let kept = isAscending ? cut.oldest(of: within) : cut.newest(of: within)
        guard let from = kept.first?.from, let to = kept.last?.to else {
            let from = isAscending ? lowest : max(first, highest + 1)
            return HistoryPage(from: from, to: from - 1, first: first, body: [], more: limit == 0 && lowest <= highest)
        }
        return HistoryPage(
            from: from, to: to, first: first, body: kept.body,
            more: isAscending ? to < highest : from > lowest)
    }
}

extension Seq {
    /// The place after this one, also for one that a client has made up.
    fileprivate var clampedToSuccessor: Seq { self < 0 ? 1 : self == .max ? .max : self + 1 }
}
