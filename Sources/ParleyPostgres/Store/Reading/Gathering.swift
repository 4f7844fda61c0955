internal import DequeModule
internal import NIOConcurrencyHelpers
internal import ParleyCore

/// Questions that are answered together: all who ask while one statement is under way share the next one, in which
/// equal questions stand once. When `lengthMax` wait already, one more is `unavailable` at once.
final class Gathering<Question: Hashable & Sendable, Answer: Sendable>: Sendable {
    typealias Outcome = Result<Answer, StoreError>

    private struct State {
        var questions: Deque<(question: Question, waiter: CheckedContinuation<Outcome, Never>)> = []
        var isBusy = false
    }

    private let batchMax: Int
    private let lengthMax: Int
    private let ask: @Sendable ([Question]) async throws(StoreError) -> [Outcome]
    private let state = NIOLockedValueBox(State())

    /// - Parameter ask: Answers each question, in their order. No two are equal.
    init(
        batchMax: Int, lengthMax: Int = 16_384,
        ask: @escaping @Sendable ([Question]) async throws(StoreError) -> [Outcome]
    ) {
        self.batchMax = batchMax
        self.lengthMax = lengthMax
        self.ask = ask
    }

    var waitingCount: Int { state.withLockedValue(\.questions.count) }

    func answer(to question: Question) async throws(StoreError) -> Answer {
        let outcome: Outcome = await withCheckedContinuation { waiter in
            let (isTaken, begins) = state.withLockedValue { state in
                guard state.questions.count < lengthMax else { return (false, false) }
                state.questions.append((question, waiter))
                defer { state.isBusy = true }
                return (true, !state.isBusy)
            }
            if !isTaken { waiter.resume(returning: .failure(.unavailable(reason: "too many reads wait"))) }
            if begins { Task { await self.workThroughQuestions() } }
        }
        return try outcome.get()
    }

    private func workThroughQuestions() async {
        while true {
            let batch = state.withLockedValue { state in
                let batch = Array(state.questions.prefix(batchMax))
                state.questions.removeFirst(batch.count)
                if batch.isEmpty { state.isBusy = false }
                return batch
            }
            guard !batch.isEmpty else { return }
            let start = ContinuousClock.now
            do throws(StoreError) {
                let outcomes = try await answers(to: batch.map(\.question))
                for (waiting, outcome) in zip(batch, outcomes) { waiting.waiter.resume(returning: outcome) }
            } catch {
                for waiting in batch { waiting.waiter.resume(returning: .failure(error)) }
            }
            await Crowd.rest(after: batch.count, since: start)
        }
    }

    private func answers(to questions: [Question]) async throws(StoreError) -> [Outcome] {
        var asked: [Question] = []
        var places: [Question: Int] = [:]
        let placed = questions.map { question in
            if let place = places[question] { return place }
            places[question] = asked.count
            asked.append(question)
            return asked.count - 1
        }
        let outcomes = try await ask(asked)
        return placed.map { outcomes[$0] }
    }
}
