import Logging
import NIOCore
import ParleyCore

/// Asks the store which sockets of this node were overtaken by sockets of other nodes, in case nobody said so: after
/// announcements may have been lost, and now and then.
final class TakeUpWatch: Sendable {
    /// Sockets in one question.
    static let pageMax = 1_000
    /// From the end of one round to the start of the next, however often announcements are lost.
    static let pauseMin = Duration.milliseconds(250)
    /// Beside that, when the store did not answer.
    private static let backoff = Backoff(first: .milliseconds(250), max: .seconds(5))
    /// A random part of the rhythm, more or less, so that nodes spread.
    static let jitter = 0.2

    private let directory: SessionDirectory
    private let store: any SessionStore
    private let every: Duration
    private let logger: Logger
    private let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    init(directory: SessionDirectory, store: any SessionStore, every: TimeAmount, logger: Logger) {
        self.directory = directory
        self.store = store
        self.every = .nanoseconds(every.nanoseconds)
        self.logger = logger
        (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Announcements may have been lost.
    func lookSoon() { signal.yield() }

    /// Runs until the task is cancelled. Once.
    func run(_ overtaken: @escaping @Sendable ([SessionTakeUp]) -> Void) async {
        await withDiscardingTaskGroup { group in
            group.addTask {
                while true {
                    let factor = Double.random(in: 1 - Self.jitter...1 + Self.jitter)
                    do { try await Task.sleep(for: self.every * factor) } catch { return }
                    self.lookSoon()
                }
            }
            group.addTask {
                var backoff = Self.backoff
                var generator = SystemRandomNumberGenerator()
                for await _ in self.signals {
                    var pause = Self.pauseMin
                    if await self.look(overtaken) {
                        backoff.reset()
                    } else {
                        self.lookSoon()
                        pause += backoff.next(using: &generator)
                    }
                    do { try await Task.sleep(for: pause) } catch { return }
                }
            }
        }
    }

    /// False when something could not be read, which is left to the next time.
    private func look(_ overtaken: ([SessionTakeUp]) -> Void) async -> Bool {
        var rest = directory.sockets[...]
        while !rest.isEmpty, !Task.isCancelled {
            let page = Array(rest.prefix(Self.pageMax))
            rest = rest.dropFirst(page.count)
            do throws(StoreError) {
                let found = try await store.overtaken(page)
                if !found.isEmpty { overtaken(found) }
            } catch {
                logger.debug("could not ask which sessions were taken up elsewhere", metadata: ["error": "\(error)"])
                return false
            }
        }
        return true
    }
}
