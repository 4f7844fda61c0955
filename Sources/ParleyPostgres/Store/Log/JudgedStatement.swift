internal import ParleyCore

/// A batch of rooms whose inputs are judged: one call of `parley.append_judged`, one transaction.
enum JudgedStatement {
    static let statement = Statement(
        name: "append-judged",
        sql: """
            SELECT ix, input, verdict::text, base, claim, values_now, versions_now, rule_us
            FROM parley.append_judged(
                $1::int8, $2::int8, $3::int8, $4::int8, $5::int4, $6::bool, $7::int4, $8::int8[], $9::int8[], $10::int4[],
                $11::text[], $12::int4[], $13::text[], $14::text[], $15::text[])
            """)

    static func parameters(
        _ appends: [Append], term: WriterSeat.Term, batch: Int64, lease: Duration, skipLocked: Bool, valuesBytesMax: Int
    ) -> [Parameter] {
        let inputs = appends.flatMap { $0.judged ?? [] }
        return [
            .int8(term.writer), .int8(term.node.incarnation), .int8(term.epoch), .int8(batch),
            .milliseconds(lease), .bool(skipLocked), .int4(Int32(clamping: valuesBytesMax)),
            .int8Array(appends.map(\.room.value)), .int8Array(appends.map(\.claim)), .int4Array(appends.map(\.tag)),
            .textArray(appends.map { RefusedList.text($0.refused) }),
            .int4Array(appends.map { Int32(clamping: $0.judged?.count ?? 0) }), .textArray(inputs.map(\.change)),
            .textArray(inputs.map { $0.set?.valuesObject }), .textArray(inputs.map { $0.set?.conditionObject }),
        ]
    }

    /// What goes before it for rooms with a rule: first their locks, for the wait is none of the rules' fault, then the time
    /// that they have, which counts from the next statement on.
    static func prelude(_ appends: [Append], time: Duration, skipLocked: Bool) -> [(Statement, [Parameter])] {
        [
            (skipLocked ? lockSkipping : lockWaiting, [.int8Array(appends.map(\.room.value))]),
            (timeMax, [.text("\(time.wholeMilliseconds)ms")]),
        ]
    }

    private static let lockWaiting = Statement(name: "append-ruled", sql: lockSQL("FOR NO KEY UPDATE"))
    private static let lockSkipping = Statement(
        name: "append-ruled-skip-locked", sql: lockSQL("FOR NO KEY UPDATE SKIP LOCKED"))
    private static let timeMax = Statement(
        name: "rule-time", sql: "SELECT set_config('statement_timeout', $1::text, true)")

    private static func lockSQL(_ lock: String) -> String {
        """
        SELECT FROM parley.room r WHERE r.room_no = ANY ($1::int8[]) AND r.closed_at IS NULL
        ORDER BY r.room_no \(lock)
        """
    }

    /// How long the rule of each room took.
    static func ruleTimes(_ rows: Rows, of appends: [Append]) -> [(append: Append, time: Duration)] {
        rows.compactMap { row in
            let index = Int(row.int4(0)) - 1
            guard appends.indices.contains(index), let time = row.int8OrNil(7) else { return nil }
            return (appends[index], .microseconds(time))
        }
    }

    /// As `AppendStatement.outcomes`. Throws `connectionLost` at an answer that it does not know: the batch is committed, and
    /// the log is to be asked what became of it.
    static func outcomes(_ rows: Rows, of appends: [Append]) throws(PostgresError) -> [AppendOutcome?]? {
        guard !rows.isEmpty else { return nil }
        var verdicts = appends.map { [Verdict](repeating: .accepted, count: $0.judged?.count ?? 0) }
        var outcomes = [AppendOutcome?](repeating: nil, count: appends.count)
        for row in rows {
            let (index, input, letter) = (Int(row.int4(0)) - 1, Int(row.int4(1)) - 1, row.text(2))
            // The first row is about the batch.
            guard outcomes.indices.contains(index) else { continue }
            if verdicts[index].indices.contains(input), let verdict = verdict(letter, row) {
                verdicts[index][input] = verdict
            } else if input < 0, let outcome = outcome(letter, row, verdicts[index]) {
                outcomes[index] = outcome
            } else {
                throw .connectionLost(reason: "parley.append_judged has answered \"\(letter)\"")
            }
        }
        return outcomes
    }

    private static func outcome(_ letter: String, _ row: Row, _ verdicts: [Verdict]) -> AppendOutcome? {
        switch letter {
        case "a": .judged(base: row.int8(3), verdicts: verdicts)
        case "m": .moved(claim: row.int8(4), members: [])
        // The rule met a lock of somebody else: as if the room had.
        case "l": .locked
        case "o": .tooMuch
        default: nil
        }
    }

    private static func verdict(_ letter: String, _ row: Row) -> Verdict? {
        switch letter {
        case "r": .rewritten(row.bytes(5))
        case "x": .refused(reason: row.text(5))
        case "c": .conflict(RoomValues(values: row.bytes(5), versions: row.bytes(6)))
        case "t": .tooLarge
        default: nil
        }
    }
}
