internal import NIOConcurrencyHelpers
internal import ParleyCore

/// Reads what the log says of members, all who ask at the same time together.
final class MarksReader: Sendable {
    struct Answer: Sendable {
        var marks: Marks
        var profile: [UInt8]?
    }

    private struct Question {
        var room: RoomNumber
        var session: SessionKey
        var waiter: CheckedContinuation<Result<Answer, StoreError>, Never>
    }

    private struct State {
        var questions: [Question] = []
        var isBusy = false
    }

    private let reader: RoomReader
    private let state = NIOLockedValueBox(State())

    /// Of one statement; the answer is small.
    private static let batchMax = 256

    init(reader: RoomReader) { self.reader = reader }

    /// The member's row must be there.
    func read(room: RoomNumber, session: SessionKey) async throws(StoreError) -> Answer {
        let result: Result<Answer, StoreError> = await withCheckedContinuation { waiter in
            let begins = state.withLockedValue { state in
                state.questions.append(Question(room: room, session: session, waiter: waiter))
                defer { state.isBusy = true }
                return !state.isBusy
            }
            if begins { Task { await self.workThroughQuestions() } }
        }
        return try result.get()
    }

    private func workThroughQuestions() async {
        while true {
            let batch = state.withLockedValue { state in
                let batch = Array(state.questions.prefix(Self.batchMax))
                state.questions.removeFirst(batch.count)
                if batch.isEmpty { state.isBusy = false }
                return batch
            }
            guard !batch.isEmpty else { return }
            await answer(batch)
        }
    }

    private func answer(_ questions: [Question]) async {
        do throws(StoreError) {
            let rows = try await reader.read(
                MarksStatement.ofMembers,
                [.int8Array(questions.map(\.room.value)), .byteaArray(questions.map(\.session.bytes))])
            var answers = [Answer?](repeating: nil, count: questions.count)
            for row in rows {
                answers[Int(row.int4(0)) - 1] = Answer(marks: MarksStatement.marks(row), profile: row.bytesOrNil(1))
            }
            for (question, answer) in zip(questions, answers) {
                question.waiter.resume(returning: answer.map { .success($0) } ?? .failure(.roomNotFound))
            }
        } catch {
            for question in questions { question.waiter.resume(returning: .failure(error)) }
        }
    }
}
