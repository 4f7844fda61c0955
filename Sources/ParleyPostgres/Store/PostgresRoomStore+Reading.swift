public import ParleyCore

extension PostgresRoomStore {
    public func snapshot(_ request: SnapshotRequest) async throws(StoreError) -> Snapshot {
        switch request.want {
        case .recent(let count):
            return try await recent(count, of: request, continuity: .continues)
        case .after(let point):
            let seq = max(0, point.seq)
            let reading = try await snapshots.after(seq, of: request.room, bytesMax: request.bytesMax)
            switch ResumeJudgement(point, in: reading) {
            case .continues(let base):
                let runs = RunCut(bytesMax: request.bytesMax)
                    .oldest(of: reading.runs.compactMap { $0.suffix(after: base.seq) })
                return Snapshot(head: reading.head, runs: runs, continuity: .continues, end: runs.last?.end ?? base)
            case .reset:
                return try await recent(Limits.recentDefault, of: request, continuity: .reset)
            case .diverged:
                return try await recent(Limits.recentDefault, of: request, continuity: .diverged)
            }
        }
    }

    private func recent(
        _ count: Int, of request: SnapshotRequest, continuity: Snapshot.Continuity
    ) async throws(StoreError) -> Snapshot {
        let reading = try await snapshots.recent(count, of: request.room, bytesMax: request.bytesMax)
        let runs = RunCut(changesMax: max(0, count), bytesMax: request.bytesMax).newest(of: reading.runs)
        return Snapshot(
            head: reading.head, runs: runs, continuity: continuity, end: reading.head, values: reading.values)
    }

    /// What the shared values of one room may have together, as the database says it.
    public func valuesBytesMax() async throws(StoreError) -> Int {
        let rows = try await reader.execute(Self.valuesLimitStatement, [])
        return rows.first.map { Int($0.int4(0)) } ?? Limits().valuesBytes
    }

    private static let valuesLimitStatement = Statement(
        name: "values-limit", sql: "SELECT values_bytes_max FROM parley.setting")

    public func readLog(_ cursors: [LogCursor]) async throws(StoreError) -> [LogRead] {
        try await logs.read(cursors)
    }

    public func readRosters(_ cursors: [RosterCursor]) async throws(StoreError) -> [RosterRead] {
        try await rosters.read(cursors)
    }

    public func heads(of rooms: [RoomNumber]) async throws(StoreError) -> [RoomPointer] {
        guard !rooms.isEmpty else { return [] }
        return try await reader.execute(LogStatement.heads, [.int8Array(rooms.map(\.value))]).map {
            RoomPointer(room: RoomNumber($0.int8(0)), lastSeq: $0.int8(1), rosterSeq: $0.int8(2))
        }
    }

    public func history(_ request: HistoryRequest) async throws(StoreError) -> HistoryPage {
        var request = request
        // Places that a client made up must not overflow what is reckoned with them.
        request.after = request.after.map { max(0, $0) }
        request.before = request.before.map { max(0, $0) }
        let limit = Parameter.int4(Int32(clamping: max(0, request.limit)))
        let bytes = Parameter.int4(Int32(clamping: min(request.bytesMax, Self.historyBytesMax)))
        let slack = Parameter.int4(Int32(Limits.chunkBytesMax))
        let before = Parameter.int8(request.before ?? .max)
        let rows =
            if let after = request.after {
                try await reader.execute(
                    HistoryStatement.ascending,
                    [.int8(request.room.value), .int8(after), before, limit, bytes, slack])
            } else {
                try await reader.execute(
                    HistoryStatement.descending, [.int8(request.room.value), before, limit, bytes, slack])
            }
        guard let page = HistoryStatement.page(rows, request) else { throw .roomNotFound }
        return page
    }

    /// More than any frame holds.
    private static let historyBytesMax = 64 << 20
}
