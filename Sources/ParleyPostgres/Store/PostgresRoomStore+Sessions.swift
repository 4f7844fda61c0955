public import ParleyCore

extension PostgresRoomStore {
    public func takeUp(
        _ session: SessionIdentity, shown: Int64?, openedAt: ContinuousClock.Instant, endedWithin: Duration?,
        isWanted: @escaping @Sendable () -> Bool
    ) async throws(StoreError) -> TakenUp? {
        let number: Int64
        let outcome = try await desk.takeUp(
            session, shown: shown, openedMs: clock.milliseconds(at: openedAt), endedWithin: endedWithin,
            isWanted: isWanted)
        switch outcome {
        case .taken(let taken): number = taken
        case .over: return nil
        case .stale: throw .unavailable(reason: "a newer socket has the session")
        }
        // After the commit: from then on no older socket's join or leave counts, and a leave that came before is seen.
        return TakenUp(number: number, memberships: try await memberships.read(session.key))
    }

    public func overtaken(_ sockets: [SessionSocket]) async throws(StoreError) -> [SessionTakeUp] {
        guard !sockets.isEmpty else { return [] }
        let rows = try await reader.execute(
            SessionStatement.overtaken,
            [.byteaArray(sockets.map(\.session.bytes)), .int8Array(sockets.map(\.number))])
        return rows.compactMap { row in
            ClientID(row.text(0)).map { SessionTakeUp(clientID: $0, number: row.int8(1)) }
        }
    }

    public func lapse(_ sockets: [LostSocket]) async throws(StoreError) -> [LapsedSession] {
        guard !sockets.isEmpty else { return [] }
        let rows = try await retryingRegistrar.execute(
            SessionStatement.lapse, SessionStatement.parameters(sockets, node: nodeNumber))
        return SessionStatement.lapsed(rows, of: sockets)
    }

    public func signingKeys() async throws(StoreError) -> [SigningKey] {
        // From the system's generator, which is meant for secrets.
        let key = (0..<Self.signingKeyLength).map { _ in UInt8.random(in: .min ... .max) }
        _ = try await retryingRegistrar.execute(Self.insertKeyStatement, [.bytea(key)])
        let rows = try await retryingRegistrar.execute(Self.keysStatement, [.int4(Self.signingKeysMax)])
        let keys = rows.map { row in
            SigningKey(
                number: row.int4(0), bytes: row.bytes(1), supersededFor: row.int8OrNil(2).map { .milliseconds($0) })
        }
        channelSeal.know(keys)
        return keys
    }

    private static let signingKeyLength = 32
    /// Older ones do not count.
    private static let signingKeysMax: Int32 = 64

    private static let insertKeyStatement = Statement(
        name: "make-signing-key",
        sql: """
            INSERT INTO parley.signing_key (key_no, key)
            SELECT 1, $1::bytea WHERE NOT EXISTS (SELECT FROM parley.signing_key)
            ON CONFLICT ON CONSTRAINT signing_key_pkey DO NOTHING
            """)

    private static let keysStatement = Statement(
        name: "signing-keys",
        sql: """
            SELECT key_no, key,
                (extract(epoch FROM clock_timestamp() - lead(created_at) OVER (ORDER BY key_no)) * 1000)::int8
            FROM parley.signing_key
            ORDER BY key_no DESC
            LIMIT $1::int4
            """)
}
