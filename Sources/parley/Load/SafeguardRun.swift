import Logging
import ParleyCore
import ParleyPostgres

/// What exactly-once costs in the database: batches as a node writes them, beside batches of the same rooms and
/// messages without ids, without the fence and without claims. One after the other, in turns, so that both meet the
/// same machine.
struct SafeguardRun: Sendable {
    static let roundsEach = 5
    private static let patience = Duration.seconds(10)

    let url: String
    /// In each batch, with one message each.
    let rooms: Int
    /// Bytes of a message.
    let size: Int
    /// All rounds together.
    let measured: Duration

    /// Messages a second, the median of the rounds.
    struct Report: Sendable {
        var with: Double
        var without: Double
        var share: Double { with / without }
    }

    func run() async throws -> Report {
        var logger = Logger(label: "parley")
        logger.logLevel = .error
        var configuration = StoreConfiguration(url: url, nodeName: "safeguards", version: parleyVersion)
        configuration.announce = false
        let store = PostgresRoomStore(configuration: configuration, logger: logger)
        let plain = PostgresConnection(role: "plain", url: url, settings: Self.plainSettings, logger: logger)
        let result: Result<Report, any Error>
        do {
            try await store.start()
            plain.start()
            try await plain.waitUntilConnected(timeout: Self.patience)
            result = .success(try await measure(store, plain))
        } catch {
            result = .failure(error)
        }
        await plain.close()
        await store.close()
        do { return try result.get() } catch { throw fail("\(error)", code: 69) }
    }

    private func measure(_ store: PostgresRoomStore, _ plain: PostgresConnection) async throws -> Report {
        let numbers = try await makeRooms(store, plain)
        let padding = String(repeating: "x", count: size)
        let bare = Array(#"{"clientId":"7h2k9mq4x0tbw3vd","at":1732350000123,"message":"\#(padding)"}"#.utf8)
        let round = measured / (2 * Self.roundsEach)
        var (with, without): ([Double], [Double]) = ([], [])
        var id = 0
        for _ in 0..<Self.roundsEach {
            with.append(
                try await rate(for: round) {
                    id += 1
                    let body = Array(
                        #"{"clientId":"7h2k9mq4x0tbw3vd","id":\#(id),"at":1732350000123,"message":"\#(padding)"}"#.utf8)
                    _ = try await store.append(
                        numbers.map { Append(room: $0, claim: 0, count: 1, tag: Tag(id), body: body) })
                })
            without.append(
                try await rate(for: round) {
                    try await plain.execute(
                        Self.plainAppend,
                        [.int8Array(numbers.map(\.value)), .textArray(numbers.map { _ in bare })])
                })
        }
        return Report(with: with.sorted()[with.count / 2], without: without.sorted()[without.count / 2])
    }

    private func rate(for time: Duration, _ batch: () async throws -> Void) async throws -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        var batches = 0
        while clock.now - start < time {
            try await batch()
            batches += 1
        }
        return Double(batches * rooms) / ((clock.now - start) / .seconds(1))
    }

    private func makeRooms(
        _ store: PostgresRoomStore, _ connection: PostgresConnection
    ) async throws -> [RoomNumber] {
        var generator = SystemRandomNumberGenerator()
        let ids = (0..<rooms).map { _ in RoomID.random(using: &generator) }
        for id in ids { _ = try await store.createRoom(RoomCreation(id: id)) }
        let rows = try await connection.execute(
            Statement(
                name: "numbers",
                sql: "SELECT room_no FROM parley.room WHERE room_id = ANY ($1::text[]) ORDER BY room_no"),
            [.textArray(ids.map(\.text))])
        return rows.map { RoomNumber($0.int8(0)) }
    }

    /// As a node's connections have it.
    private static var plainSettings: ConnectionSettings {
        var settings = ConnectionSettings()
        settings.sessionSettings = [
            "synchronous_commit": "on", "plan_cache_mode": "force_generic_plan", "enable_seqscan": "off",
            "enable_mergejoin": "off", "jit": "off", "search_path": "pg_catalog",
        ]
        return settings
    }

    /// Gapless and in one order for all, as it must be without any of the other promises.
    private static let plainAppend = Statement(
        name: "plain-append",
        sql: """
            WITH locked AS MATERIALIZED (
                SELECT r.room_no, c.body
                FROM unnest($1::int8[], $2::text[]) c(room_no, body)
                JOIN parley.room r ON r.room_no = c.room_no
                ORDER BY r.room_no
                FOR NO KEY UPDATE OF r
            ), counted AS (
                UPDATE parley.room r SET last_seq = r.last_seq + 1
                FROM locked l
                WHERE r.room_no = l.room_no
                RETURNING r.room_no, r.last_seq, l.body
            ), logged AS (
                INSERT INTO parley.update_log (room_no, last_seq, first_seq, tag, body)
                SELECT room_no, last_seq, last_seq, 0, body FROM counted
            )
            SELECT room_no, last_seq FROM counted
            """)
}
