public import ParleyCore

extension PostgresRoomStore {
    public func createRoom(_ creation: RoomCreation) async throws(StoreError) -> RoomCreated {
        let deadline = ContinuousClock.now + configuration.requestTimeout
        // Tells this call's room from anybody else's when an answer is lost.
        let tag = Tag.random(in: .min ... .max)
        var isOurs = false
        while true {
            do throws(PostgresError) {
                isOurs = try await insert(creation, tag: tag, until: deadline)
                break
            } catch {
                let mayTryAgain =
                    switch error {
                    case .server: error.isLockTimeout
                    case .connectionLost: true
                    case .unavailable, .timedOut, .closed, .cancelled, .fatal: false
                    }
                guard mayTryAgain, ContinuousClock.now < deadline else { throw StoreError(error) }
            }
        }
        if !isOurs, !creation.ifMissing { throw .roomExists }
        return RoomCreated(created: isOurs)
    }

    /// Whether the room of this id is the one with this tag. Waits for whoever is inserting the same id.
    private func insert(
        _ creation: RoomCreation, tag: Tag, until deadline: ContinuousClock.Instant
    ) async throws(PostgresError) -> Bool {
        let inserted = try await registrar.execute(
            Self.insertStatement,
            [
                .text(creation.id.text), .int4(tag), .text(utf8: creation.meta), .int8(creation.retainMessages),
                .int8(creation.retainSeconds),
            ], timeout: max(.zero, deadline - .now))
        guard inserted.isEmpty else { return true }
        // A new statement: the first one does not see a row that was committed while it waited.
        let present = try await registrar.execute(
            Self.tagStatement, [.text(creation.id.text)], timeout: max(.zero, deadline - .now))
        return present.first?.int4(0) == tag
    }

    private static let insertStatement = Statement(
        name: "create-room",
        sql: """
            INSERT INTO parley.room (room_id, tag, meta, retain_messages, retain_seconds)
            VALUES ($1::text, $2::int4, $3::json, $4::int8, $5::int8)
            ON CONFLICT ON CONSTRAINT room_id_is_unique DO NOTHING
            RETURNING room_no
            """)

    private static let tagStatement = Statement(
        name: "room-tag", sql: "SELECT tag FROM parley.room WHERE room_id = $1::text")
}
