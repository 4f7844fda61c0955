import Logging
import NIOConcurrencyHelpers
import ParleyCore
import Testing

@testable import ParleyGateway

@Suite("The keys of session tokens")
struct SigningKeysTests {
    /// Nothing but keys.
    private final class Store: SessionStore {
        let keys = NIOLockedValueBox<[SigningKey]?>(nil)
        let reads = NIOLockedValueBox(0)

        func signingKeys() async throws(StoreError) -> [SigningKey] {
            reads.withLockedValue { $0 += 1 }
            guard let keys = keys.withLockedValue({ $0 }) else { throw .unavailable(reason: "the test said so") }
            return keys
        }

        func takeUp(
            _ session: SessionIdentity, shown: Int64?, openedAt: ContinuousClock.Instant, endedWithin: Duration?,
            isWanted: @escaping @Sendable () -> Bool
        ) async throws(StoreError)
            -> TakenUp?
        { nil }
        func overtaken(_ sockets: [SessionSocket]) async throws(StoreError) -> [SessionTakeUp] { [] }
        func lapse(_ sockets: [LostSocket]) async throws(StoreError) -> [LapsedSession] { [] }
    }

    private let store = Store()
    private let ann = SessionIdentity.fresh()

    private func keys(_ keys: [SigningKey]) -> SigningKeys {
        SigningKeys(keys, store: store, session: .seconds(100), logger: Logger(label: "test"))
    }

    private func key(_ number: Int32, supersededFor: Duration? = nil) -> SigningKey {
        SigningKey(
            number: number, bytes: [UInt8](repeating: UInt8(number), count: 32), supersededFor: supersededFor)
    }

    private func isValid(_ token: String, to keys: SigningKeys) -> Bool {
        switch keys.judge(token) {
        case .valid(let token): token.identity == ann
        case .foreign: false
        }
    }

    @Test("the newest key signs; an older one counts while its sessions may last")
    func rotation() {
        let first = keys([key(1)]).token(for: ann, socket: 0)
        let second = keys([key(2), key(1, supersededFor: .zero)])
        #expect(isValid(first, to: second))
        #expect(isValid(second.token(for: ann, socket: 0), to: second))
        #expect(!isValid(second.token(for: ann, socket: 0), to: keys([key(1)])), "not known there yet")
        #expect(isValid(first, to: keys([key(2), key(1, supersededFor: .seconds(99))])))
        #expect(!isValid(first, to: keys([key(2), key(1, supersededFor: .seconds(101))])))
        #expect(!isValid(first, to: keys([key(2)])), "it was taken out of the table")
        #expect(!isValid("", to: second))
    }

    @Test("a new key is read when it is asked for, once for all who ask", .timeLimit(.minutes(1)))
    func reading() async {
        let keys = keys([key(1)])
        let other = self.keys([key(2), key(1, supersededFor: .zero)]).token(for: ann, socket: 0)
        #expect(await !keys.readAgain(), "the store does not answer")
        #expect(!isValid(other, to: keys))
        store.keys.withLockedValue { $0 = [key(2), key(1, supersededFor: .zero)] }
        await withDiscardingTaskGroup { group in
            for _ in 1...50 { group.addTask { #expect(await keys.readAgain()) } }
        }
        #expect(isValid(other, to: keys))
        #expect(keys.token(for: ann, socket: 0).hasPrefix("AwAAAAI"), "it signs with the newer one")
        #expect(store.reads.withLockedValue { $0 } == 2)
    }
}
