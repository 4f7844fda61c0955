import ParleyCore

/// Which rooms say most just now. Counts only while somebody asks: pure, no clock, no lock.
struct RoomActivity {
    /// Beyond so many, new ones are not counted until the next question.
    static let roomsMax = 10_000
    /// Without a question after so many updates, nobody watches any more.
    static let updatesMax = 1_000_000
    /// Of what was counted before, at each question: who was busy stays in sight for some seconds.
    private static let memory = 0.8
    /// What is less than this is forgotten.
    private static let least = 0.1

    private var isWatched = false
    private var updates = 0
    private var scores: [RoomNumber: Double] = [:]

    mutating func updated(_ room: RoomNumber) {
        guard isWatched else { return }
        updates += 1
        guard updates <= Self.updatesMax else {
            self = RoomActivity()
            return
        }
        if scores.count < Self.roomsMax || scores[room] != nil { scores[room, default: 0] += 1 }
    }

    /// The busiest first, and if there is room for more, any others.
    mutating func busiest(_ count: Int, of local: [RoomNumber]) -> [RoomNumber] {
        isWatched = true
        updates = 0
        let isLocal = Set(local)
        scores = scores.filter { isLocal.contains($0.key) }
        let busy = scores.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(count).map(\.key)
        scores = scores.mapValues { $0 * Self.memory }.filter { $0.value >= Self.least }
        guard busy.count < count else { return busy }
        // In their order, so that they stay the same while they are there.
        let isBusy = Set(busy)
        return busy + local.filter { !isBusy.contains($0) }.sorted().prefix(count - busy.count)
    }
}
