import Foundation

/// This node's clock, for people to read: only `seq` orders.
enum UnixTime {
    /// Milliseconds since the Unix epoch.
    static func milliseconds() -> Int64 { Int64(Date().timeIntervalSince1970 * 1_000) }
}
