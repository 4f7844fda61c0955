internal import Logging
internal import ParleyCore

/// Reads the keys of the cluster anew when another node has sealed with one that is new here. Whoever signs session tokens
/// reads them now and then, too.
struct ChannelKeys: Sendable {
    private static let pauseMin = Duration.seconds(2)

    private let store: PostgresRoomStore
    private let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    init(store: PostgresRoomStore) {
        self.store = store
        (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func lookSoon() { signal.yield() }

    /// Until the task is cancelled.
    func run() async {
        for await _ in signals {
            do throws(StoreError) {
                _ = try await store.signingKeys()
            } catch {
                store.logger.debug("the keys of the channel could not be read", metadata: ["error": "\(error)"])
            }
            do { try await Task.sleep(for: Self.pauseMin) } catch { return }
        }
    }
}
