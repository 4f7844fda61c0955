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
    /// Until the first of the other nodes' leases, or of the dead ones' graces, runs out; nil when there is none.
    var nextEnd: Duration?
}

/// Renews this node's leases, and learns from the same statement how far the others have come.
final class Heartbeat: Sendable {
    private struct Listeners {
        var lastID = 0
        var continuations: [Int: AsyncStream<Beat>.Continuation] = [:]
    }

    private let connection: PostgresConnection
    private let registration: NodeRegistration
    private let clock: DatabaseClock
    private let configuration: StoreConfiguration
    private let logger: Logger
    private let listeners = NIOLockedValueBox(Listeners())
    private let trust: NIOLockedValueBox<LeaseTrust>

    /// How long after the end of a lease or a grace the next beat comes, so that it finds it over.
    private static let endSlack = Duration.milliseconds(20)
    /// And at most so much later, milliseconds, at random: of several nodes one comes first.
    private static let endJitterMax = 100
    /// Beats in the time of one, however many leases and graces end.
    private static let beatsMax = 20

    /// `connection` commits asynchronously: a lease that a crash of the server takes back does no harm.
    init(
        connection: PostgresConnection, registration: NodeRegistration, clock: DatabaseClock,
        configuration: StoreConfiguration, logger: Logger
    ) {
        self.connection = connection
        self.registration = registration
        self.clock = clock
        self.configuration = configuration
        self.logger = logger
        trust = NIOLockedValueBox(LeaseTrust(configuration.leaseLeft))
    }

    /// Whether no other node can have declared this one dead.
    var isTrusted: Bool { trust.withLockedValue { $0.holds(at: .now) } }

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
            var pause = configuration.heartbeatEvery
            do throws(PostgresError) {
                if let end = try await beat() {
                    let after = end + Self.endSlack + .milliseconds(Int.random(in: 0...Self.endJitterMax))
                    pause = max(min(pause, after), configuration.heartbeatEvery / Self.beatsMax)
                }
            } catch {
                logger.debug("a heartbeat failed", metadata: ["error": "\(error)"])
            }
            do { try await Task.sleep(for: pause) } catch { break }
        }
        let all = listeners.withLockedValue { Array($0.continuations.values) }
        for continuation in all { continuation.finish() }
    }

    /// Returns the beat's `nextEnd`.
    private func beat() async throws(PostgresError) -> Duration? {
        guard let rows = registration.current else { return nil }
        let sentAt = ContinuousClock.now
        let answer = try await connection.execute(
            Self.statement,
            [
                .int8(rows.node), .int8(rows.incarnation), .milliseconds(configuration.lease),
                .milliseconds(configuration.leaseLeft),
            ])
        if let now = answer.first?.int8(9) { clock.read(now, sent: sentAt, received: .now) }
        var own: Set<Int64> = []
        var beat = Beat(sentAt: sentAt, writers: [], silentNodes: [], hasNodeToClear: false)
        var living: Set<Int64> = []
        var leases: [Int64: Int64] = [:]
        for row in answer {
            beat.hasNodeToClear = row.bool(5)
            if row.int8(1) == rows.node {
                if row.bool(3) { own.insert(row.int8(0)) }
                continue
            }
            if row.bool(6) { beat.writers.append(WriterBeat(writer: row.int8(0), lastBatch: row.int8(2))) }
            if let left = row.int8OrNil(7) { leases[row.int8(1)] = max(left, leases[row.int8(1)] ?? left) }
            if row.bool(4) { beat.silentNodes.insert(row.int8(1)) } else { living.insert(row.int8(1)) }
        }
        beat.silentNodes.subtract(living)
        let ends = (leases.values + [answer.first?.int8OrNil(8)].compactMap { $0 }).filter { $0 > 0 }
        beat.nextEnd = ends.min().map { .milliseconds($0) }
        if !Set(rows.writers.values).isSubset(of: own) { try await registration.renew(rows) }
        trust.withLockedValue { $0.heard(sentAt: sentAt) }
        let all = listeners.withLockedValue { Array($0.continuations.values) }
        for continuation in all { continuation.yield(beat) }
        return beat.nextEnd
    }

    /// Skips rows that a batch holds at this moment, which renews the lease itself, and those that one has just
    /// renewed. Others are told of for a minute after they fell silent: their last batch may not have been announced.
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
                    SELECT FROM parley.node n
                    WHERE n.dead_at + n.grace_ms * interval '1 ms' < clock_timestamp() AND n.cleared_at IS NULL
                        AND (NOT EXISTS (SELECT FROM parley.member m WHERE m.node_no = n.node_no AND m.left_at IS NULL)
                            OR EXISTS (
                                SELECT FROM parley.member m
                                WHERE m.node_no = n.node_no AND m.left_at IS NULL
                                    AND NOT parley.is_elsewhere(m.session_no, n.node_no)))),
                lease_until > clock_timestamp() - interval '1 minute',
                CASE WHEN dead_at IS NULL THEN
                    (EXTRACT(EPOCH FROM lease_until - clock_timestamp()) * 1000)::int8 END,
                (SELECT (EXTRACT(EPOCH FROM min(dead_at + grace_ms * interval '1 ms') - clock_timestamp()) * 1000)::int8
                    FROM parley.node
                    WHERE dead_at + grace_ms * interval '1 ms' > clock_timestamp() AND cleared_at IS NULL),
                (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::int8
            FROM parley.writer
            WHERE node_no = $1::int8 OR dead_at IS NULL OR lease_until > clock_timestamp() - interval '1 minute'
            """)
}
