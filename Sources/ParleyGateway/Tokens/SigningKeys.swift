import Crypto
import Logging
import NIOConcurrencyHelpers
import ParleyCore

/// The keys of the session tokens as this node knows them. Signs with the newest; accepts those of older ones until the
/// next one is as old as a session lasts, for by then every token of theirs is over but for sockets that are still open.
final class SigningKeys: Sendable {
    /// How often it is looked for new keys, beside the times when a token is not understood.
    static let readEvery = Duration.seconds(30)
    /// Between two reads at least: tokens that somebody made up cause no more.
    static let readPause = Duration.seconds(2)

    enum Judgement: Equatable {
        case valid(SessionToken)
        /// Not signed with any key that is known here.
        case foreign
    }

    private struct Known {
        var key: SymmetricKey
        /// nil for the newest.
        var validUntil: ContinuousClock.Instant?
    }

    private struct State {
        var keys: [Int32: Known] = [:]
        var newest: Int32 = 0
        var readAt: ContinuousClock.Instant
        var reading: Task<Bool, Never>?
    }

    private let store: any SessionStore
    private let session: Duration
    private let logger: Logger
    private let state: NIOLockedValueBox<State>

    /// - Parameters:
    ///   - keys: As the store has them now, the newest first; not empty.
    ///   - session: How long a session can be taken up after its last socket.
    init(_ keys: [SigningKey], store: any SessionStore, session: Duration, logger: Logger) {
        self.store = store
        self.session = session
        self.logger = logger
        state = NIOLockedValueBox(State(readAt: .now))
        know(keys)
    }

    func token(for identity: SessionIdentity, socket: Int64) -> String {
        let (number, known) = state.withLockedValue { ($0.newest, $0.keys[$0.newest]) }
        guard let known else { return "" }
        return SessionToken(identity: identity, issuedAt: UnixTime.milliseconds(), socket: socket).signed(
            with: known.key, number: number)
    }

    func judge(_ text: String) -> Judgement {
        guard let number = SessionToken.keyNumber(of: text),
            let known = state.withLockedValue({ $0.keys[number] }), known.validUntil.map({ $0 > .now }) ?? true,
            let token = SessionToken(text, signedWith: known.key)
        else { return .foreign }
        return .valid(token)
    }

    /// Reads the keys: all who ask at the same time together, and not again before the pause is over. False when the
    /// store did not answer.
    func readAgain() async -> Bool {
        let task = state.withLockedValue { state in
            if let reading = state.reading { return reading }
            let due = state.readAt + Self.readPause
            let task = Task {
                // Ends early when the task is cancelled, which nobody does.
                try? await Task.sleep(until: due)
                return await self.read()
            }
            state.reading = task
            return task
        }
        return await task.value
    }

    /// Until the task is cancelled.
    func run() async {
        while true {
            do { try await Task.sleep(for: Self.readEvery) } catch { return }
            _ = await readAgain()
        }
    }

    private func read() async -> Bool {
        var isRead = false
        do throws(StoreError) {
            know(try await store.signingKeys())
            isRead = true
        } catch {
            logger.debug("the keys of the session tokens could not be read", metadata: ["error": "\(error)"])
        }
        state.withLockedValue { state in
            state.readAt = .now
            state.reading = nil
        }
        return isRead
    }

    private func know(_ keys: [SigningKey]) {
        guard let newest = keys.first else { return }
        let now = ContinuousClock.now
        let known = keys.map { key in
            (
                key.number,
                Known(
                    key: SymmetricKey(data: key.bytes),
                    validUntil: key.supersededFor.map { now + max(.zero, session - $0) })
            )
        }
        let former = state.withLockedValue { state in
            state.keys = Dictionary(known) { first, _ in first }
            defer { state.newest = newest.number }
            return state.newest
        }
        if former != 0, former != newest.number {
            logger.notice(
                "session tokens are signed with another key from now on", metadata: ["key": "\(newest.number)"])
        }
    }
}
