import NIOConcurrencyHelpers
import ParleyCore
import Testing

@testable import ParleyPostgres

/// No server: the statement is a closure that ends when the test says so.
@Suite struct GatheringTests {
    private typealias Numbers = Gathering<Int, Int>

    @Test("all who ask meanwhile share the next statement, and one more than the bound is refused at once")
    func bound() async throws {
        let isReleased = NIOLockedValueBox(false)
        let batches = NIOLockedValueBox<[[Int]]>([])
        let gathering = Numbers(batchMax: 8, lengthMax: 2) { questions throws(StoreError) in
            let isFirst = batches.withLockedValue {
                $0.append(questions.sorted())
                return $0.count == 1
            }
            // Not for ever, whatever becomes of the test.
            if isFirst { try? await waitUntil { isReleased.withLockedValue { $0 } } }
            return questions.map { .success($0 * 10) }
        }
        async let first = gathering.answer(to: 1)
        try await waitUntil { batches.withLockedValue { $0 } == [[1]] }
        let refusals = NIOLockedValueBox(0)
        let answers = try await withThrowingTaskGroup { group in
            for question in 2...4 {
                group.addTask { () async throws -> Int? in
                    do throws(StoreError) {
                        return try await gathering.answer(to: question)
                    } catch {
                        #expect(error == .unavailable(reason: "too many reads wait"))
                        refusals.withLockedValue { $0 += 1 }
                        return nil
                    }
                }
            }
            try await waitUntil { refusals.withLockedValue { $0 } == 1 }
            isReleased.withLockedValue { $0 = true }
            return try await group.reduce(into: [Int]()) { answers, answer in
                if let answer { answers.append(answer) }
            }
        }
        #expect(try await first == 10)
        #expect(answers.count == 2)
        #expect(batches.withLockedValue { $0 } == [[1], answers.map { $0 / 10 }.sorted()])
    }

    @Test("equal questions stand once in the statement, and each who asked is answered")
    func equal() async throws {
        let isReleased = NIOLockedValueBox(false)
        let batches = NIOLockedValueBox<[[Int]]>([])
        let gathering = Numbers(batchMax: 8) { questions throws(StoreError) in
            let isFirst = batches.withLockedValue {
                $0.append(questions.sorted())
                return $0.count == 1
            }
            // Not for ever, whatever becomes of the test.
            if isFirst { try? await waitUntil { isReleased.withLockedValue { $0 } } }
            return questions.map { $0 == 3 ? .failure(.roomNotFound) : .success($0 * 10) }
        }
        async let first = gathering.answer(to: 1)
        try await waitUntil { batches.withLockedValue { $0 } == [[1]] }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for question in [2, 3, 2, 2, 3] {
                group.addTask {
                    do throws(StoreError) {
                        #expect(try await gathering.answer(to: question) == 20)
                        #expect(question == 2)
                    } catch {
                        #expect(error == .roomNotFound && question == 3)
                    }
                }
            }
            // All five wait behind the first.
            try await waitUntil { gathering.waitingCount == 5 }
            isReleased.withLockedValue { $0 = true }
            try await group.waitForAll()
        }
        #expect(try await first == 10)
        #expect(batches.withLockedValue { $0 } == [[1], [2, 3]])
    }
}
