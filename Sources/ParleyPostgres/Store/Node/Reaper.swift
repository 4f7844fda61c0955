internal import Logging
internal import NIOConcurrencyHelpers
internal import ParleyCore

/// Declares nodes dead that are silent beyond their lease, and ends the memberships of dead nodes whose grace is over.
///
/// Every node has one. The rows say who does what: a node that another reaper is busy with is passed by.
final class Reaper: Sendable {
    private let seat: WriterSeat
    private let announcer: Announcer
    private let heartbeat: Heartbeat
    private let configuration: StoreConfiguration
    private let logger: Logger

    /// Of one statement, about: its rooms are locked while it runs.
    private static let membersMax: Int32 = 1_000
    /// Statements after one heartbeat.
    private static let roundsMax = 32

    init(seat: WriterSeat, heartbeat: Heartbeat, configuration: StoreConfiguration, logger: Logger) {
        self.seat = seat
        self.announcer = Announcer(connection: seat.connection, isOn: configuration.announce)
        self.heartbeat = heartbeat
        self.configuration = configuration
        self.logger = logger
    }

    /// Until the heartbeat ends.
    func run() async {
        var watch = SilenceWatch(lease: configuration.lease)
        await withDiscardingTaskGroup { group in
            for await beat in heartbeat.beats() {
                let silent = watch.heard(beat.silentNodes, sentAt: beat.sentAt)
                do throws(PostgresError) {
                    if !silent.isEmpty { try await declareDead(silent) }
                } catch {
                    logger.debug("could not declare nodes dead", metadata: ["error": "\(error)"])
                }
                // Beside the beats: a large node takes longer, and a beat that is missed looks like a pause.
                guard beat.hasNodeToClear, startsClearing() else { continue }
                group.addTask {
                    do throws(PostgresError) {
                        try await self.clear()
                    } catch {
                        // What is left is there at the next heartbeat.
                        self.logger.debug("could not clear dead nodes", metadata: ["error": "\(error)"])
                    }
                    self.isClearing.withLockedValue { $0 = false }
                }
            }
        }
    }

    private func startsClearing() -> Bool {
        isClearing.withLockedValue { isClearing in
            defer { isClearing = true }
            return !isClearing
        }
    }

    private func declareDead(_ nodes: [Int64]) async throws(PostgresError) {
        let dead = try await seat.connection.execute(Self.declareStatement, [.int8Array(nodes)])
        for row in dead {
            logger.warning(
                "a node was silent beyond its lease and is declared dead",
                metadata: ["node": "\(row.int8(0))", "name": "\(row.text(1))"])
        }
        guard dead.count < nodes.count else { return }
        // A backend that hangs in the middle of a batch keeps the node's row locked for as long as it hangs.
        try await seat.connection.execute(
            Self.endBackendsStatement, [.int8Array(nodes), .milliseconds(configuration.lease)])
    }

    private func clear() async throws(PostgresError) {
        for _ in 0..<Self.roundsMax {
            let term = try await seat.take(until: .now + configuration.requestTimeout)
            announcer.sayAgain(generation: term.generation)
            let rows = try await seat.connection.execute(
                Self.clearStatement,
                [
                    .int8(term.writer), .int8(term.node.incarnation), .int8(term.epoch),
                    .milliseconds(configuration.lease), .int4(Self.membersMax),
                ], onlyGeneration: term.generation)
            guard let first = rows.first else { return try await seat.fenced(term) }
            let pointers = rows.compactMap { row in
                row.int8OrNil(1).map { RoomPointer(room: RoomNumber($0), rosterSeq: row.int8(2)) }
            }
            announcer.say(
                Announcement(writer: term.writer, batch: first.int8(0), pointers: pointers),
                generation: term.generation)
            clearedRooms.tell(pointers)
            guard !pointers.isEmpty else { return }
        }
    }

    /// `sink` hears of the rooms whose roster this node has changed: its own announcements it does not hear.
    func onCleared(_ sink: @escaping @Sendable ([RoomPointer]) -> Void) { clearedRooms.become(sink) }

    private let isClearing = NIOLockedValueBox(false)
    private let clearedRooms = Watcher<[RoomPointer]>()

    /// All rows of a node, or none: one that is locked belongs to a batch under way, so the node is not silent, or hangs.
    private static let declareStatement = Statement(
        name: "declare-dead",
        sql: """
            WITH silent AS (
                SELECT w.writer_no, w.node_no FROM parley.writer w
                WHERE w.node_no = ANY ($1::int8[]) AND w.dead_at IS NULL AND w.lease_until < clock_timestamp()
                ORDER BY w.writer_no
                FOR NO KEY UPDATE SKIP LOCKED
            ), whole AS (
                SELECT s.node_no FROM silent s
                GROUP BY s.node_no
                HAVING count(*) = (SELECT count(*) FROM parley.writer w WHERE w.node_no = s.node_no)
            ), ended AS (
                UPDATE parley.writer w SET dead_at = clock_timestamp()
                FROM whole
                WHERE w.node_no = whole.node_no
            )
            UPDATE parley.node n SET dead_at = clock_timestamp()
            FROM whole
            WHERE n.node_no = whole.node_no AND n.dead_at IS NULL
            RETURNING n.node_no, n.name
            """)

    /// Only of those that are silent for twice their lease. A role may end the backends of its own.
    private static let endBackendsStatement = Statement(
        name: "end-silent-backends",
        sql: """
            SELECT pg_terminate_backend(a.pid)
            FROM parley.writer w, pg_stat_get_activity(w.backend_pid) a
            WHERE w.node_no = ANY ($1::int8[]) AND w.dead_at IS NULL AND a.backend_start = w.backend_start
                AND w.lease_until < clock_timestamp() - $2::int4 * interval '1 ms'
            """)

    private static let clearStatement = Statement(
        name: "clear-dead-node",
        sql: """
            SELECT batch, room_no, roster_seq
            FROM parley.clear_dead_node($1::int8, $2::int8, $3::int8, $4::int4, $5::int4)
            """)
}
