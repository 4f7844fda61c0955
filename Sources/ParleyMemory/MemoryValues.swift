import ParleyCore

/// The shared values of one room in memory.
struct MemoryValues {
    private struct Entry {
        var key: ValueSet.Key
        var value: [UInt8]
        var seq: Seq

        var bytes: Int { key.text.utf8.count + value.count }
    }

    private static let null = Array("null".utf8)

    private let bytesMax: Int
    private var entries: [String: Entry] = [:]
    private var bytes = 0

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    var all: RoomValues {
        let sorted = entries.values.sorted { $0.key.text < $1.key.text }
        return RoomValues(
            values: ValueSet.object(sorted.map { ($0.key, $0.value) }),
            versions: ValueSet.object(sorted.map { ($0.key, Array("\($0.seq)".utf8)) }))
    }

    /// Carries the set out unless it is refused. `seq`: the place that it gets.
    mutating func judge(_ set: ValueSet, at seq: Seq) -> Verdict {
        if let condition = set.condition, !condition.allSatisfy({ entries[$0.key.text]?.seq ?? 0 == $0.seq }) {
            return .conflict(named(condition.map(\.key)))
        }
        var bytesAfter = bytes
        for (key, value) in set.values {
            bytesAfter -= entries[key.text]?.bytes ?? 0
            if value != Self.null { bytesAfter += key.text.utf8.count + value.count }
        }
        guard bytesAfter <= bytesMax || bytesAfter <= bytes else { return .tooLarge }
        for (key, value) in set.values {
            entries[key.text] = value == Self.null ? nil : Entry(key: key, value: value, seq: seq)
        }
        bytes = bytesAfter
        return .accepted
    }

    private func named(_ keys: [ValueSet.Key]) -> RoomValues {
        RoomValues(
            values: ValueSet.object(keys.compactMap { key in entries[key.text].map { (key, $0.value) } }),
            versions: ValueSet.object(keys.map { ($0, Array("\(entries[$0.text]?.seq ?? 0)".utf8)) }))
    }
}
