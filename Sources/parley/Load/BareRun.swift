import Histogram
import Logging
import NIOConcurrencyHelpers
import NIOCore
import ParleyPostgres

/// What PostgreSQL takes by itself: a transaction that inserts a row and notifies, until a listening connection hears of
/// it. No node can be faster.
struct BareRun: Sendable {
    static let table = "parley_load_bare"
    private static let patience = Duration.seconds(10)

    let url: String
    let rate: Double
    let measured: Duration

    /// Makes a table of its own in the database and drops it at the end.
    func run() async throws -> Histogram<UInt32> {
        var logger = Logger(label: "parley")
        logger.logLevel = .error
        let heard = NIOLockedValueBox<(payload: String, continuation: CheckedContinuation<Void, Never>)?>(nil)
        let writer = PostgresConnection(role: "bare", url: url, settings: ConnectionSettings(), logger: logger)
        let (listening, isListening) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let listener = NotificationConnection(
            url: url, channel: Self.table, settings: ConnectionSettings(), logger: logger,
            onListening: { isListening.yield() },
            onNotification: { payload, _ in
                let waiting = heard.withLockedValue { heard in
                    heard?.payload == String(decoding: payload, as: UTF8.self) ? heard.take() : nil
                }
                waiting?.continuation.resume()
            })
        writer.start()
        listener.start()
        let result: Result<Histogram<UInt32>, PostgresError>
        do throws(PostgresError) {
            try await writer.waitUntilConnected(timeout: Self.patience)
            for await _ in listening { break }
            result = .success(try await measure(writer, heard))
        } catch {
            result = .failure(error)
        }
        await listener.close()
        await writer.close()
        do { return try result.get() } catch { throw fail("\(error)", code: 69) }
    }

    private func measure(
        _ writer: PostgresConnection,
        _ heard: NIOLockedValueBox<(payload: String, continuation: CheckedContinuation<Void, Never>)?>
    ) async throws(PostgresError) -> Histogram<UInt32> {
        try await writer.execute(
            Statement(name: "bare-table", sql: "CREATE TABLE \(Self.table) (at timestamptz DEFAULT now(), body text)"))
        let insert = Statement(
            name: "bare",
            sql:
                "WITH row AS (INSERT INTO \(Self.table) (body) VALUES ($1::text)) SELECT pg_notify('\(Self.table)', $1::text)"
        )
        var times = Histogram<UInt32>(highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: .three)
        let clock = ContinuousClock()
        let start = clock.now
        var failure: PostgresError?
        var count = 0
        while clock.now - start < measured, failure == nil {
            count += 1
            let payload = "\(count)"
            let sent = NIODeadline.now()
            await withCheckedContinuation { continuation in
                heard.withLockedValue { $0 = (payload, continuation) }
                writer.submit(insert, [.text(payload)])
            }
            _ = times.record(UInt64((NIODeadline.now() - sent).nanoseconds / 1_000))
            do { try await clock.sleep(until: start + .seconds(1) * (Double(count) / rate)) } catch {
                failure = .cancelled
            }
        }
        try await writer.execute(Statement(name: "bare-end", sql: "DROP TABLE \(Self.table)"))
        if let failure { throw failure }
        return times
    }
}
