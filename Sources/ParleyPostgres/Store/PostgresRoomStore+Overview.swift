public import ParleyCore

extension PostgresRoomStore: OverviewStore {
    public func overview(of rooms: [RoomNumber]) async throws(StoreError) -> Overview {
        OverviewStatement.overview(
            try await reader.execute(OverviewStatement.read, OverviewStatement.parameters(rooms)))
    }
}
