public import Testing

/// For suites that start servers, nodes and browsers: no more than two of their tests run at once, whatever target they
/// are in, so that what they wait for comes in the time that they give it.
public struct Heavy: SuiteTrait, TestTrait, TestScoping {
    public var isRecursive: Bool { true }

    public func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        await Gate.shared.enter()
        do {
            try await function()
        } catch {
            await Gate.shared.leave()
            throw error
        }
        await Gate.shared.leave()
    }
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
