internal import ParleyCore

/// Signals of one room on their way by NOTIFY: `~<writer> <room> <head bytes>:<payload bytes>:<head><payload> …`. They
/// touch no table; one that does not arrive is missed by nobody. Sealed on the way: see `ChannelSeal`.
struct SignalNotice: Equatable, Sendable {
    private static let mark = UInt8(ascii: "~")

    var writer: Int64
    var signals: RoomSignals

    /// One or more payloads that PostgreSQL takes. A signal that fits none is left out.
    var payloads: [[UInt8]] {
        let start = Array("~\(writer) \(signals.room.value)".utf8)
        var payloads: [[UInt8]] = []
        var payload = start
        for signal in signals.signals {
            let part = Array(" \(signal.head.count):\(signal.payload.count):".utf8) + signal.head + signal.payload
            guard start.count + part.count <= ChannelSeal.bytesMax else { continue }
            if payload.count + part.count > ChannelSeal.bytesMax {
                payloads.append(payload)
                payload = start
            }
            payload += part
        }
        return payload.count > start.count ? payloads + [payload] : payloads
    }

    init(writer: Int64, signals: RoomSignals) {
        self.writer = writer
        self.signals = signals
    }

    /// nil for what no node has sent.
    init?(payload: [UInt8]) {
        var rest = payload[...]
        guard rest.popFirst() == Self.mark, let writer = Self.number(&rest), rest.popFirst() == UInt8(ascii: " "),
            let room = Self.number(&rest)
        else { return nil }
        self.writer = writer
        signals = RoomSignals(room: RoomNumber(room), signals: [])
        while !rest.isEmpty {
            guard rest.popFirst() == UInt8(ascii: " "), let headCount = Self.number(&rest),
                rest.popFirst() == UInt8(ascii: ":"), let count = Self.number(&rest),
                rest.popFirst() == UInt8(ascii: ":"), headCount <= rest.count, count <= rest.count - Int(headCount)
            else { return nil }
            let head = rest.prefix(Int(headCount))
            let payload = rest.dropFirst(Int(headCount)).prefix(Int(count))
            rest = rest.dropFirst(Int(headCount + count))
            signals.signals.append(Signal(head: Array(head), payload: Array(payload)))
        }
    }

    /// Digits, as many as an `Int64` holds for certain.
    private static func number(_ rest: inout ArraySlice<UInt8>) -> Int64? {
        let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard (1...18).contains(digits.count) else { return nil }
        rest = rest.dropFirst(digits.count)
        return digits.reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
    }
}
