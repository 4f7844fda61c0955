public import ParleyCore

/// One process has nobody to hear from.
public struct MemoryFeed: ChangeFeed {
    public init() {}

    public func run(_ sink: @escaping @Sendable (FeedEvent) -> Void) async {
        do {
            while true { try await Task.sleep(for: .seconds(3_600)) }
        } catch {
            // The task was cancelled, which ends the feed.
        }
    }
}
