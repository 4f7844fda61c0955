/// A store that people may look into.
public protocol OverviewStore: Sendable {
    /// One look, at a bounded cost. The rooms in any order.
    func overview(of rooms: [RoomNumber]) async throws(StoreError) -> Overview
}
