internal import Logging
internal import NIOConcurrencyHelpers

/// How far another node's writer has come.
struct WriterBeat: Equatable, Sendable {
    var writer: Int64
    var lastBatch: Int64
}

/// What one heartbeat has learned of the others.
struct Beat: Sendable {
    var sentAt: ContinuousClock.Instant
    var writers: [WriterBeat]
    /// Nodes that are silent beyond their lease and not declared dead.
    var silentNodes: Set<Int64>
    /// There is a dead node whose members' grace is over.
    var hasNodeToClear: Bool
}

/// Renews this node's leases, and learns from the same statement how far the others have come.
final class Heartbeat: Sendable {
    private struct Listeners {
        var lastID = 0
        var continuations: [Int: AsyncStream<Beat>.Continuation] = [:]
    }

    private let connection: PostgresConnection
    private let registration: NodeRegistration
    private let configuration: StoreConfiguration
    private let logger: Logger
    private let listeners = NIOLockedValueBox(Listeners())

    /// `connection` commits asynchronously: a lease that a crash of the server takes back does no harm.
    init(
        connection: PostgresConnection, registration: NodeRegistration, configuration: StoreConfiguration,
        logger: Logger
    ) {
        self.connection = connection
        self.registration = registration
        self.configuration = configuration
        self.logger = logger
    }

    /// Each beat, the newest only. Ends with the heartbeat.
    func beats() -> AsyncStream<Beat> {
        let (stream, continuation) = AsyncStream.makeStream(of: Beat.self, bufferingPolicy: .bufferingNewest(1))
        let id = listeners.withLockedValue { listeners in
            listeners.lastID += 1
            listeners.continuations[listeners.lastID] = continuation
            return listeners.lastID
        }
        continuation.onTermination = { [listeners] _ in
            listeners.withLockedValue { _ = $0.continuations.removeValue(forKey: id) }
        }
        return stream
    }

    /// Until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            do throws(PostgresError) {
                try await beat()
            } catch {
                logger.debug("a heartbeat failed", metadata: ["error": "\(error)"])
            }
            do { try await Task.sleep(for: configuration.heartbeatEvery) } catch { break }
        }
        let all = listeners.withLockedValue { Array($0.continuations.values) }
        for continuation in all { continuation.finish() }
    }

    private func beat() async throws(PostgresError) {
        guard let rows = registration.current else { return }
        let sentAt = ContinuousClock.now
        let answer = try await connection.execute(
            Self.statement,
            [
                .int8(rows.node), .int8(rows.incarnation), .milliseconds(configuration.lease),
                .milliseconds(configuration.lease - configuration.heartbeatEvery),
            ])
        var own: Set<Int64> = []
        var beat = Beat(sentAt: sentAt, writers: [], silentNodes: [], hasNodeToClear: false)
        var living: Set<Int64> = []
        for row in answer {
            beat.hasNodeToClear = row.bool(5)
            if row.int8(1) == rows.node {
                if row.bool(3) { own.insert(row.int8(0)) }
                continue
            }
            if row.bool(6) { beat.writers.append(WriterBeat(writer: row.int8(0), lastBatch: row.int8(2))) }
            if row.bool(4) { beat.silentNodes.insert(row.int8(1)) } else { living.insert(row.int8(1)) }
        }
        beat.silentNodes.subtract(living)
        if !Set(rows.writers.values).isSubset(of: own) { try await registration.renew(rows) }
        let all = listeners.withLockedValue { Array($0.continuations.values) }
        for continuation in all { continuation.yield(beat) }
    }

    /// Skips rows that a batch holds at this moment, which renews the lease itself, and those that one has just renewed.
    /// Others are told of for a minute after they fell silent: their last batch may not have been announced.
    private static let statement = Statement(
        name: "heartbeat",
        sql: """
            WITH free AS (
                SELECT writer_no FROM parley.writer
                WHERE node_no = $1::int8 AND incarnation = $2::int8 AND dead_at IS NULL
                    AND lease_until < clock_timestamp() + $4::int4 * interval '1 ms'
                ORDER BY writer_no
                FOR NO KEY UPDATE SKIP LOCKED
            ), renewed AS (
                UPDATE parley.writer w SET lease_until = clock_timestamp() + $3::int4 * interval '1 ms'
                FROM free
                WHERE w.writer_no = free.writer_no
            )
            SELECT writer_no, node_no, last_batch, incarnation = $2::int8 AND dead_at IS NULL,
                dead_at IS NULL AND lease_until < clock_timestamp(),
                EXISTS (
                    SELECT FROM parley.node
                    WHERE dead_at + grace_ms * interval '1 ms' < clock_timestamp() AND cleared_at IS NULL),
                lease_until > clock_timestamp() - interval '1 minute'
            FROM parley.writer
            WHERE node_no = $1::int8 OR dead_at IS NULL OR lease_until > clock_timestamp() - interval '1 minute'
            """)
}
