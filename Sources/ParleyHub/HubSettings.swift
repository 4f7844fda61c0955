package import NIOCore
package import ParleyCore

package struct HubSettings: Sendable {
    package var limits = Limits()
    /// At most one update per room and member in this time.
    package var tick: TimeAmount = .milliseconds(20)
    /// Between two transactions of the writer, and between two reads of the reader, from start to start.
    package var rhythm: TimeAmount = .milliseconds(5)
    /// How long an input waits for the database before its client is told `unavailable`.
    package var patience: TimeAmount = .seconds(5)
    /// Between attempts to read what could not be read.
    package var backoff = Backoff(first: .milliseconds(100), max: .seconds(1))
    /// Puts the transport's framing around a frame: done once for all who get it.
    package var framed: @Sendable (ByteBuffer) -> ByteBuffer = { $0 }

    package init() {}
}

extension Limits {
    /// What of a frame is left for changes, beside names, numbers and brackets.
    var updateBytes: Int { serverFrameBytes - 1_024 }
}
