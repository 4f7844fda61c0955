internal import Logging
internal import ParleyCore

/// Memberships that somebody says have ended. Every role of the database can say so: the tables decide.
struct EndedMemberships: Sendable {
    /// In one question, and how many questions wait at most. What is dropped the node finds out when it writes for them.
    static let pageMax = 256
    static let pagesMax = 64
    private static let backoff = Backoff(first: .milliseconds(20), max: .seconds(1))
    private static let attemptsMax = 5

    private let store: PostgresRoomStore
    private let localRooms: @Sendable () -> [RoomNumber]
    private let questions: AsyncStream<[EndedMembership]>
    private let question: AsyncStream<[EndedMembership]>.Continuation

    init(store: PostgresRoomStore, localRooms: @escaping @Sendable () -> [RoomNumber]) {
        self.store = store
        self.localRooms = localRooms
        (questions, question) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.pagesMax))
    }

    func said(_ ended: [EndedMembership]) {
        var rest = ended[...]
        while !rest.isEmpty {
            question.yield(Array(rest.prefix(Self.pageMax)))
            rest = rest.dropFirst(Self.pageMax)
        }
    }

    /// Until the task is cancelled. `sink` hears of those that are true.
    func run(_ sink: @Sendable ([EndedMembership]) -> Void) async {
        for await said in questions {
            let local = Set(localRooms())
            let concerned = said.filter { local.contains($0.room) }
            guard !concerned.isEmpty else { continue }
            let ended = await verified(concerned)
            if !ended.isEmpty { sink(ended) }
        }
    }

    private func verified(_ said: [EndedMembership]) async -> [EndedMembership] {
        var backoff = Self.backoff
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<Self.attemptsMax {
            do throws(StoreError) {
                let rows = try await store.reader.execute(
                    Self.statement,
                    [
                        .int8Array(said.map(\.room.value)), .int8Array(said.map(\.claim)),
                        .textArray(said.map { $0.clientID?.text }),
                    ])
                return rows.compactMap { row in
                    let index = Int(row.int4(0)) - 1
                    return said.indices.contains(index) ? said[index] : nil
                }
            } catch {
                store.logger.debug("could not ask which memberships have ended", metadata: ["error": "\(error)"])
            }
            do { try await Task.sleep(for: backoff.next(using: &generator)) } catch { return [] }
        }
        return []
    }

    /// Those of whom no older membership goes on, and of everybody's the rooms that are closed or gone.
    private static let statement = Statement(
        name: "ended-memberships",
        sql: """
            SELECT e.ix::int4
            FROM unnest($1::int8[], $2::int8[], $3::text[]) WITH ORDINALITY e(room_no, claim, client_id, ix)
            LEFT JOIN parley.room r ON r.room_no = e.room_no
            WHERE CASE WHEN e.client_id IS NULL THEN r.closed_at IS NOT NULL OR r.room_no IS NULL ELSE NOT EXISTS (
                SELECT FROM parley.member m
                JOIN parley.session s ON s.session_no = m.session_no
                WHERE m.room_no = e.room_no AND s.client_id = e.client_id AND m.left_at IS NULL AND m.claim < e.claim) END
            """)
}
