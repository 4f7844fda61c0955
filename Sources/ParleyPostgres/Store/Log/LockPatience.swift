/// How long a batch waits for a room that somebody holds. Other nodes' batches hold one for as long as a transaction takes
/// on this server, and are waited for; what holds it longer is foreign, and all rooms of the batch would wait for it.
///
/// Pure: it is told how long transactions took.
struct LockPatience: Equatable {
    /// A batch may find several others in line before it, each as slow as itself.
    private static let transactions = 8.0
    /// The share of the newest transaction in what is usual.
    private static let weight = 1.0 / 16

    private let min: Duration
    /// Where a server is slow, or nothing is known of it yet.
    private let max: Duration
    private var usual: Duration?

    init(min: Duration, max: Duration) {
        self.min = min
        self.max = max
    }

    mutating func took(_ time: Duration) {
        usual = usual.map { $0 + (time - $0) * Self.weight } ?? time
    }

    /// In steps of two, so that it seldom changes.
    var time: Duration {
        guard let usual else { return max }
        var time = min
        while time < usual * Self.transactions, time < max { time *= 2 }
        return Swift.min(time, max)
    }
}
