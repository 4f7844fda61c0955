internal import NIOConcurrencyHelpers

/// Who is to be told of something, known later than the one who tells.
///
/// A function must not stand in a locked box by itself: each access by generic code would wrap it once more, and leave it so,
/// until a call needs more stack than there is.
final class Watcher<News: Sendable>: Sendable {
    private struct Told {
        var tell: @Sendable (News) -> Void
    }

    private let told = NIOLockedValueBox(Told { _ in })

    /// Instead of whoever was told before.
    func become(_ tell: @escaping @Sendable (News) -> Void) { told.withLockedValue { $0.tell = tell } }

    func tell(_ news: News) { told.withLockedValue { $0 }.tell(news) }
}
