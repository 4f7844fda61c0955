internal import Logging
internal import ParleyCore

/// Prunes the log of rooms that are to keep only a part of it, and drops what is over as a whole: rooms that were
/// closed a day ago, and keys with which SQL has published.
///
/// Every node has one. A lock in the database lets one work at a time; which rooms are due stands in their rows, so
/// that looking costs next to nothing when there is nothing to do.
final class Pruner: Sendable {
    /// What one statement has done.
    struct Round: Equatable, Sendable {
        var rooms: Int
        var chunks: Int
    }

    private let reader: RetryingConnection
    private let connection: PostgresConnection
    private let configuration: StoreConfiguration
    private let observer: (any ConnectionObserver)?
    private let logger: Logger

    /// Of one statement: its rooms are locked while it runs, which must be short beside the writers' `lock_timeout`.
    private static let roomsMax: Int32 = 32
    private static let chunksMax: Int32 = 256
    /// Of the bodies that it reads and deletes; the last chunk may go beyond it.
    private static let bytesMax: Int32 = 128 << 10
    /// Between them: writers that wait for the same rooms come first.
    private static let pause = Duration.milliseconds(10)
    /// How soon, and how late, a room is looked at again in which nothing was over.
    private static let roomPauseMin = Duration.seconds(5)
    private static let roomPauseMax = Duration.seconds(3_600)
    /// Of what is over and goes as a whole, in one statement: chunks of closed rooms, and keys.
    private static let chunksOverMax: Int32 = 512
    private static let keysOverMax: Int32 = 512

    /// - Parameter connection: Used only when there is work, which nobody waits for.
    init(
        reader: RetryingConnection, connection: PostgresConnection, configuration: StoreConfiguration,
        observer: (any ConnectionObserver)?, logger: Logger
    ) {
        self.reader = reader
        self.connection = connection
        self.configuration = configuration
        self.observer = observer
        self.logger = logger
    }

    /// Until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            // Nodes that were started together must not look together.
            do { try await Task.sleep(for: configuration.pruneEvery * .random(in: 0.75...1.25)) } catch { return }
            await look()
        }
    }

    private func look() async {
        var rounds = 0
        var chunks = 0
        do {
            guard try await reader.execute(Self.dueStatement, []).first?.bool(0) == true else { return }
            connection.start()
            // Without an end of its own: rooms that say more than is pruned would grow.
            while !Task.isCancelled, let round = try await prune(chunksMax: Self.chunksMax) {
                rounds += 1
                chunks += round.chunks
                observer?.pruned(chunks: round.chunks)
                guard round.chunks > 0 || round.rooms == Self.roomsMax else { break }
                try await Task.sleep(for: Self.pause)
            }
            while !Task.isCancelled, try await dropOver() { try await Task.sleep(for: Self.pause) }
        } catch {
            // What is left is there at the next look. That the database is away is said elsewhere.
            let isRefused = if case .server? = error as? PostgresError { true } else { false }
            logger.log(level: isRefused ? .warning : .debug, "could not prune", metadata: ["error": "\(error)"])
        }
        if chunks > 0 { logger.debug("pruned the log", metadata: ["chunks": "\(chunks)", "statements": "\(rounds)"]) }
    }

    /// One statement. nil when another node prunes.
    func prune(chunksMax: Int32) async throws(PostgresError) -> Round? {
        let rows = try await connection.execute(
            Self.pruneStatement,
            [
                .int4(Self.roomsMax), .int4(chunksMax), .int4(Self.bytesMax), .int4(Int32(Limits.refusedMax)),
                .milliseconds(configuration.pruneAgeMin), .milliseconds(Self.roomPauseMin),
                .milliseconds(Self.roomPauseMax),
            ])
        return rows.first.map { Round(rooms: Int($0.int4(0)), chunks: Int($0.int4(1))) }
    }

    /// One statement: closed rooms and expired keys. False when nothing was left to be dropped.
    func dropOver() async throws(PostgresError) -> Bool {
        let rows = try await connection.execute(
            Self.dropStatement, [.int4(Self.chunksOverMax), .int4(Self.keysOverMax)])
        return (rows.first?.int4(0) ?? 0) > 0
    }

    private static let dropStatement = Statement(
        name: "drop-over", sql: "SELECT parley.drop_over($1::int4, $2::int4)")

    private static let dueStatement = Statement(
        name: "pruning-due",
        sql: """
            SELECT EXISTS (
                SELECT FROM parley.room
                WHERE prune_at <= clock_timestamp() AND (retain_messages IS NOT NULL OR retain_seconds IS NOT NULL))
                OR EXISTS (SELECT FROM parley.room WHERE closed_at < clock_timestamp() - interval '1 day')
                OR EXISTS (SELECT FROM parley.idempotency WHERE kept_until < clock_timestamp())
            """)

    private static let pruneStatement = Statement(
        name: "prune-log",
        sql: """
            SELECT rooms, chunks
            FROM parley.prune_log($1::int4, $2::int4, $3::int4, $4::int4, $5::int4, $6::int4, $7::int4)
            """)
}
