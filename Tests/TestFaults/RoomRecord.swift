import NIOConcurrencyHelpers
import NIOCore
public import ParleyClient
import ParleyCore

/// What all members of a room saw at each place of it: the same, or it is told.
///
/// Of each change a digest is kept that no two different texts share but by a chance of one in 2^64; the texts themselves
/// would not fit.
public final class RoomRecord: Sendable {
    private struct State {
        /// Of place `seq` at `seq - 1`; nil where nobody has seen it yet.
        var digests: [Int?] = []
        var differences: [String] = []
    }

    public let id: String
    /// It has the rule of `Witness`.
    public let isRuled: Bool
    private let state = NIOLockedValueBox(State())

    public init(id: String, isRuled: Bool = false) {
        self.id = id
        self.isRuled = isRuled
    }

    public func saw(_ changes: [Change], by speaker: Int) {
        state.withLockedValue { state in
            for change in changes {
                let index = Int(change.seq) - 1
                if index >= state.digests.count {
                    state.digests += Array(repeating: nil, count: index + 1 - state.digests.count)
                }
                let digest = Self.digest(change)
                if let known = state.digests[index], known != digest {
                    state.differences.append(
                        "\(id) at \(change.seq): client \(speaker) saw something else than others: \(String(buffer: change.text))"
                    )
                }
                state.digests[index] = digest
            }
        }
    }

    public var differences: [String] { state.withLockedValue { $0.differences } }
    public var digests: [Int?] { state.withLockedValue { $0.digests } }

    /// Means nothing in another process.
    public static func digest(_ change: Change) -> Int {
        var hasher = Hasher()
        change.text.withUnsafeReadableBytes { hasher.combine(bytes: $0) }
        return hasher.finalize()
    }
}
