import ParleyCore

/// Signals of one room that wait for the next tick: the newest of each head, in the order in which these came first. What is
/// too much is dropped, for nobody relies on a signal.
struct PendingSignals {
    /// Of all that wait together.
    static let bytesMax = 65_536

    private var heads: [[UInt8]] = []
    private var payloads: [[UInt8]: [UInt8]] = [:]
    private var bytes = 0

    var isEmpty: Bool { heads.isEmpty }

    mutating func add(_ signal: Signal) {
        let former = payloads[signal.head].map { signal.head.count + $0.count } ?? 0
        let bytesAfter = bytes - former + signal.head.count + signal.payload.count
        guard bytesAfter <= Self.bytesMax else { return }
        bytes = bytesAfter
        if payloads.updateValue(signal.payload, forKey: signal.head) == nil { heads.append(signal.head) }
    }

    mutating func take() -> [Signal] {
        defer { self = PendingSignals() }
        return heads.map { Signal(head: $0, payload: payloads[$0] ?? []) }
    }
}
