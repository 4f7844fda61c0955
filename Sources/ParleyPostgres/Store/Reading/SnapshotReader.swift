internal import ParleyCore

/// Reads rooms for those who join them, all who come at the same time together: what a storm of joins asks of the
/// database depends on the rooms, not on the clients.
struct SnapshotReader: Sendable {
    typealias Reading = SnapshotStatement.Reading

    private struct RecentQuestion: Hashable {
        var room: RoomNumber
        var count: Int
        var bytesMax: Int
    }

    private struct AfterQuestion: Hashable {
        var room: RoomNumber
        var seq: Seq
        var bytesMax: Int
    }

    private let recents: Gathering<RecentQuestion, Reading>
    private let afters: Gathering<AfterQuestion, Reading>

    /// Of one statement.
    private static let batchMax = 512

    init(reader: RetryingConnection) {
        recents = Gathering(batchMax: Self.batchMax) { asked throws(StoreError) in
            let rows = try await reader.execute(
                SnapshotStatement.recent,
                [
                    .int8Array(asked.map(\.room.value)), .int4Array(asked.map { Int32(clamping: $0.count) }),
                    Self.bytes(asked.map(\.bytesMax)),
                ])
            return SnapshotStatement.readings(rows, count: asked.count)
        }
        afters = Gathering(batchMax: Self.batchMax) { asked throws(StoreError) in
            let rows = try await reader.execute(
                SnapshotStatement.after,
                [
                    .int8Array(asked.map(\.room.value)), .int8Array(asked.map(\.seq)),
                    Self.bytes(asked.map(\.bytesMax)), .int4(SnapshotStatement.rowsMax),
                    .int4(Int32(Limits.chunkBytesMax)),
                ])
            return SnapshotStatement.readings(rows, count: asked.count)
        }
    }

    /// The newest changes: at least `count` and `bytesMax` bytes, if there are so many and few others ask for as much.
    func recent(_ count: Int, of room: RoomNumber, bytesMax: Int) async throws(StoreError) -> Reading {
        try await recents.answer(to: RecentQuestion(room: room, count: max(0, count), bytesMax: bytesMax))
    }

    /// The oldest changes after a place, likewise.
    func after(_ seq: Seq, of room: RoomNumber, bytesMax: Int) async throws(StoreError) -> Reading {
        try await afters.answer(to: AfterQuestion(room: room, seq: seq, bytesMax: bytesMax))
    }

    /// What each may bring: less when many ask together, so that one answer stays within bounds.
    private static func bytes(_ wanted: [Int]) -> Parameter {
        let share = max(SnapshotStatement.bytesShareMin, SnapshotStatement.bytesTogetherMax / max(1, wanted.count))
        return .int4Array(wanted.map { Int32(clamping: min($0, share)) })
    }
}
