internal import Logging
internal import ParleyCore

/// Announcements of memberships that have ended. Every role of the database can say so: the tables decide, and only then is
/// heard what else was said with it, so that nobody reads of its own leave in the roster first.
struct EndedMemberships: Sendable {
    /// How many wait at most. Of what is dropped the places are heard at once, and the node finds out who is gone when it writes
    /// for them.
    static let waitingMax = 256
    private static let backoff = Backoff(first: .milliseconds(20), max: .seconds(1))
    private static let attemptsMax = 5

    private let store: PostgresRoomStore
    private let localRooms: @Sendable () -> [RoomNumber]
    private let sink: @Sendable (FeedEvent) -> Void
    private let announcements: AsyncStream<Announcement>
    private let announcement: AsyncStream<Announcement>.Continuation

    init(
        store: PostgresRoomStore, localRooms: @escaping @Sendable () -> [RoomNumber],
        sink: @escaping @Sendable (FeedEvent) -> Void
    ) {
        self.store = store
        self.localRooms = localRooms
        self.sink = sink
        (announcements, announcement) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.waitingMax))
    }

    func heard(_ said: Announcement) {
        switch announcement.yield(said) {
        case .enqueued: break
        case .dropped, .terminated: pass(said.pointers)
        @unknown default: pass(said.pointers)
        }
    }

    /// Until the task is cancelled.
    func run() async {
        for await said in announcements {
            let local = Set(localRooms())
            let concerned = said.ended.filter { local.contains($0.room) }
            let ended = concerned.isEmpty ? [] : await verified(concerned)
            if !ended.isEmpty { sink(.ended(ended)) }
            pass(said.pointers)
        }
    }

    private func pass(_ pointers: [RoomPointer]) {
        if !pointers.isEmpty { sink(.pointers(pointers)) }
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
