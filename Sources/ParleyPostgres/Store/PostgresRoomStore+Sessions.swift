public import ParleyCore

extension PostgresRoomStore {
    public func takeUp(_ session: SessionIdentity) async throws(StoreError) -> TakenUp {
        let number = try await desk.takeUp(session)
        // After the commit: from then on no older socket's join or leave counts, and a leave that came before is seen.
        return TakenUp(number: number, memberships: try await memberships.read(session.key))
    }

    public func overtaken(_ sockets: [SessionSocket]) async throws(StoreError) -> [SessionTakeUp] {
        guard !sockets.isEmpty else { return [] }
        let rows = try await reader.read(
            SessionStatement.overtaken,
            [.byteaArray(sockets.map(\.session.bytes)), .int8Array(sockets.map(\.number))])
        return rows.compactMap { row in
            ClientID(row.text(0)).map { SessionTakeUp(clientID: $0, number: row.int8(1)) }
        }
    }

    public func lapse(_ sockets: [LostSocket]) async throws(StoreError) -> [LapsedSession] {
        guard !sockets.isEmpty else { return [] }
        let rows = try await reader.read(
            SessionStatement.lapse, SessionStatement.parameters(sockets, node: nodeNumber))
        return SessionStatement.lapsed(rows, of: sockets)
    }
}
