internal import ParleyCore

/// Reads in which rooms sessions are, all that are taken up at the same time together.
struct MembershipReader: Sendable {
    private let gathering: Gathering<SessionKey, [Membership]>

    /// Of one statement. A session may be in many rooms, and each is looked up in the log.
    private static let batchMax = 128

    /// - Parameter keeper: Told of rooms whose marks lag behind, as those may into which only SQL publishes.
    init(reader: RetryingConnection, keeper: MarksKeeper) {
        gathering = Gathering(batchMax: Self.batchMax) { sessions throws(StoreError) in
            let rows = try await reader.execute(MarksStatement.ofSessions, [.byteaArray(sessions.map(\.bytes))])
            var memberships = [[Membership]](repeating: [], count: sessions.count)
            for row in rows {
                guard let id = RoomID(row.text(1)) else { continue }
                keeper.lags(by: row.int8(6) - row.int8(8), in: RoomNumber(row.int8(7)))
                memberships[Int(row.int4(0)) - 1].append(
                    Membership(
                        id: id, room: RoomNumber(row.int8(7)), lastSeq: row.int8(6),
                        marks: MarksStatement.marks(row)))
            }
            return memberships.map { .success($0) }
        }
    }

    func read(_ session: SessionKey) async throws(StoreError) -> [Membership] {
        try await gathering.answer(to: session)
    }
}
