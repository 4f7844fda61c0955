import ParleyCore

/// Looks at the cluster for all consoles together: one statement in a second at most, and none when nobody watches.
actor ConsoleWatch {
    /// What was seen last.
    struct Sight: Sendable {
        /// nil while nothing was ever answered.
        var overview: Overview?
        /// How long the store took for the newest answer or failure.
        var took: Duration
        /// Why the newest look saw nothing; nil when it did.
        var failure: StoreError?
    }

    static let every = Duration.seconds(1)
    /// More rooms are not read.
    static let roomsMax = 50

    private let store: any OverviewStore
    private let rooms: @Sendable () -> [RoomNumber]
    private var sight: (seen: Sight, at: ContinuousClock.Instant)?
    private var look: Task<Sight, Never>?

    /// - Parameter rooms: Which rooms to look at; only the first `roomsMax` count.
    init(store: any OverviewStore, rooms: @escaping @Sendable () -> [RoomNumber]) {
        self.store = store
        self.rooms = rooms
    }

    /// What was seen less than a second ago, by whomever. Whoever asks while a look is under way shares it.
    func current() async -> Sight {
        if let sight, sight.at.duration(to: .now) < Self.every { return sight.seen }
        if let look { return await look.value }
        let begun = ContinuousClock.now
        let (store, wanted, last) = (store, Array(rooms().prefix(Self.roomsMax)), sight?.seen.overview)
        let look = Task {
            do throws(StoreError) {
                let overview = try await store.overview(of: wanted)
                return Sight(overview: overview, took: begun.duration(to: .now), failure: nil)
            } catch {
                return Sight(overview: last, took: begun.duration(to: .now), failure: error)
            }
        }
        self.look = look
        let seen = await look.value
        sight = (seen, begun)
        self.look = nil
        return seen
    }
}
