public import ParleyCore

extension PostgresRoomStore {
    public func createRoom(_ creation: RoomCreation) async throws(StoreError) -> RoomCreated {
        let deadline = ContinuousClock.now + configuration.requestTimeout
        // Tells this call's room from anybody else's when an answer is lost.
        let tag = Tag.random(in: .min ... .max)
        var insertion = Insertion.isThere
        while true {
            do throws(PostgresError) {
                insertion = try await insert(creation, tag: tag, until: deadline)
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
        switch insertion {
        case .isOurs: return RoomCreated(created: true)
        case .isThere:
            guard creation.ifMissing else { throw .roomExists }
            return RoomCreated(created: false)
        case .hasNoRule:
            throw .invalid(reason: "there is no rule \"\(creation.rule ?? "")\"")
        }
    }

    /// Whose the room of this id is: ours has this tag. Waits for whoever is inserting the same id.
    private func insert(
        _ creation: RoomCreation, tag: Tag, until deadline: ContinuousClock.Instant
    ) async throws(PostgresError) -> Insertion {
        let inserted = try await registrar.execute(
            Self.insertStatement,
            [
                .text(creation.id.text), .int4(tag), .text(utf8: creation.meta), .int8(creation.retainMessages),
                .int8(creation.retainSeconds), .text(creation.rule),
            ], timeout: max(.zero, deadline - .now))
        guard inserted.isEmpty else { return .isOurs }
        // A new statement: the first one does not see a row that was committed while it waited.
        let present = try await registrar.execute(
            Self.tagStatement, [.text(creation.id.text)], timeout: max(.zero, deadline - .now))
        guard let room = present.first else { return creation.rule == nil ? .isThere : .hasNoRule }
        return room.int4(0) == tag ? .isOurs : .isThere
    }

    private enum Insertion {
        case isOurs
        case isThere
        /// Nothing was made: there is no rule of this name.
        case hasNoRule
    }

    private static let insertStatement = Statement(
        name: "create-room",
        sql: """
            INSERT INTO parley.room (room_id, tag, meta, retain_messages, retain_seconds, rule_no)
            SELECT $1::text, $2::int4, $3::json, $4::int8, $5::int8, r.rule_no
            FROM (SELECT CASE WHEN $6::text IS NOT NULL THEN parley.hold_rule($6::text) END AS rule_no) r
            WHERE $6::text IS NULL OR r.rule_no IS NOT NULL
            ON CONFLICT ON CONSTRAINT room_id_is_unique DO NOTHING
            RETURNING room_no
            """)

    private static let tagStatement = Statement(
        name: "room-tag", sql: "SELECT tag FROM parley.room WHERE room_id = $1::text")
}
