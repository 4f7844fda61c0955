import Foundation
public import Testing

/// For suites that start servers, nodes and browsers: no more than two of their tests run at once, whatever target they
/// are in, so that what they wait for comes in the time that they give it. One that takes longer than `bound` ends the
/// whole run and is named: a test that waits for ever would say nothing at all.
public struct Heavy: SuiteTrait, TestTrait, TestScoping {
    private static let bound = Duration.seconds(480)

    public var isRecursive: Bool { true }

    public func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        await Gate.shared.enter()
        let watch = Task {
            guard (try? await Task.sleep(for: Self.bound)) != nil else { return }
            flush()
            fatalError("\(test.id) has not ended after \(Self.bound)")
        }
        let result: Result<Void, any Error>
        do { result = .success(try await function()) } catch { result = .failure(error) }
        watch.cancel()
        flush()
        await Gate.shared.leave()
        try result.get()
    }

    /// What was printed so far is seen even when the run does not end as it should.
    private func flush() { fflush(nil) }
}

extension Trait where Self == Heavy {
    public static var heavy: Heavy { Heavy() }
}

private actor Gate {
    static let shared = Gate()

    private static let atOnce = 2

    private var inside = 0
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func enter() async {
        guard inside >= Self.atOnce else {
            inside += 1
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    /// Whoever waits takes the place over.
    func leave() {
        if waiting.isEmpty { inside -= 1 } else { waiting.removeFirst().resume() }
    }
}
