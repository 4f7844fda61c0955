internal import ParleyCore

/// Reads what the log says of members, all who ask at the same time together.
struct MarksReader: Sendable {
    struct Answer: Sendable {
        var marks: Marks
        var profile: [UInt8]?
    }

    private struct Question: Hashable, Sendable {
        var room: RoomNumber
        var session: SessionKey
    }

    private let gathering: Gathering<Question, Answer>

    /// Of one statement; the answer is small.
    private static let batchMax = 256

    init(reader: RetryingConnection) {
        gathering = Gathering(batchMax: Self.batchMax) { questions throws(StoreError) in
            let rows = try await reader.execute(
                MarksStatement.ofMembers,
                [.int8Array(questions.map(\.room.value)), .byteaArray(questions.map(\.session.bytes))])
            var answers = [Answer?](repeating: nil, count: questions.count)
            for row in rows {
                answers[Int(row.int4(0)) - 1] = Answer(marks: MarksStatement.marks(row), profile: row.bytesOrNil(1))
            }
            return answers.map { $0.map { .success($0) } ?? .failure(.roomNotFound) }
        }
    }

    /// The member's row must be there.
    func read(room: RoomNumber, session: SessionKey) async throws(StoreError) -> Answer {
        try await gathering.answer(to: Question(room: room, session: session))
    }
}
