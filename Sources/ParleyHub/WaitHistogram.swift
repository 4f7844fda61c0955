package import NIOCore

/// How often something took how long.
package struct WaitHistogram: Sendable, Equatable {
    /// Upper bounds of the classes, milliseconds; above the last there is one more.
    package static let boundsMs: [Int64] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000]

    /// By class.
    package private(set) var counts = [Int](repeating: 0, count: boundsMs.count + 1)
    package private(set) var seconds = 0.0

    package init() {}

    package var count: Int { counts.reduce(0, +) }

    package mutating func add(_ wait: TimeAmount) {
        let place = Self.boundsMs.firstIndex { wait <= .milliseconds($0) } ?? Self.boundsMs.count
        counts[place] += 1
        seconds += Double(wait.nanoseconds) / 1e9
    }

    package mutating func add(_ other: WaitHistogram) {
        for place in counts.indices { counts[place] += other.counts[place] }
        seconds += other.seconds
    }
}
