internal import ParleyCore

/// Reads rooms for those who join them, all who come at the same time together: what a storm of joins asks of the database
/// depends on the rooms, not on the clients. The same question is asked once.
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

    init(reader: RoomReader) {
        recents = Gathering(batchMax: Self.batchMax) { questions throws(StoreError) in
            try await Self.answers(to: questions) { asked throws(StoreError) in
                try await reader.read(
                    SnapshotStatement.recent,
                    [
                        .int8Array(asked.map(\.room.value)), .int4Array(asked.map { Int32(clamping: $0.count) }),
                        Self.bytes(asked.map(\.bytesMax)),
                    ])
            }
        }
        afters = Gathering(batchMax: Self.batchMax) { questions throws(StoreError) in
            try await Self.answers(to: questions) { asked throws(StoreError) in
                try await reader.read(
                    SnapshotStatement.after,
                    [
                        .int8Array(asked.map(\.room.value)), .int8Array(asked.map(\.seq)),
                        Self.bytes(asked.map(\.bytesMax)), .int4(SnapshotStatement.rowsMax),
                        .int4(Int32(Limits.chunkBytesMax)),
                    ])
            }
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

    private static func answers<Question: Hashable>(
        to questions: [Question], by read: ([Question]) async throws(StoreError) -> Rows
    ) async throws(StoreError) -> [Result<Reading, StoreError>] {
        var asked: [Question] = []
        var places: [Question: Int] = [:]
        for question in questions where places[question] == nil {
            places[question] = asked.count
            asked.append(question)
        }
        let readings = SnapshotStatement.readings(try await read(asked), count: asked.count)
        return questions.map { question in
            places[question].flatMap { readings[$0] }.map { .success($0) } ?? .failure(.roomNotFound)
        }
    }

    /// What each may bring: less when many ask together, so that one answer stays within bounds.
    private static func bytes(_ wanted: [Int]) -> Parameter {
        let share = max(SnapshotStatement.bytesShareMin, SnapshotStatement.bytesTogetherMax / max(1, wanted.count))
        return .int4Array(wanted.map { Int32(clamping: min($0, share)) })
    }
}
