import Logging
import NIOConcurrencyHelpers
import ParleyPostgres

/// Settings under which a test of a failure does not take long.
func quickSettings(_ change: (inout ConnectionSettings) -> Void = { _ in }) -> ConnectionSettings {
    var settings = ConnectionSettings()
    settings.backoffFirst = .milliseconds(10)
    settings.backoffMax = .milliseconds(100)
    change(&settings)
    return settings
}

/// What all connections of the tests log, so that a test can look for what must not be there.
let testLog = NIOLockedValueBox<[String]>([])

struct TestLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        testLog.withLockedValue { $0.append("\(event.level) \(event.message) \(event.metadata ?? [:])") }
    }
}

let testLogger = Logger(label: "test", factory: { _ in TestLogHandler() })

/// A connection that is there, for the time of `body`.
func withConnection<Value>(
    role: String = "test", url: String? = nil, _ settings: ConnectionSettings = quickSettings(),
    observer: (any ConnectionObserver)? = nil, _ body: (PostgresConnection) async throws -> Value
) async throws -> Value {
    let url = if let url { url } else { try await TestDatabase.url }
    let connection = PostgresConnection(
        role: role, url: url, settings: settings, logger: testLogger, observer: observer)
    connection.start()
    do {
        try await connection.waitUntilConnected(timeout: .seconds(10))
        let value = try await body(connection)
        await connection.close()
        return value
    } catch {
        await connection.close()
        throw error
    }
}

/// The error that `body` throws, nil when it returns.
func postgresError<Value>(_ body: () async throws(PostgresError) -> Value) async -> PostgresError? {
    do throws(PostgresError) {
        _ = try await body()
        return nil
    } catch {
        return error
    }
}

extension PostgresError {
    var isConnectionLost: Bool {
        if case .connectionLost = self { true } else { false }
    }

    var isUnavailable: Bool {
        if case .unavailable = self { true } else { false }
    }
}

struct ConditionNeverHeld: Error {}

/// Waits for what another thread or process brings about.
func eventually(_ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(10)
    while try await !condition() {
        guard .now < deadline else { throw ConditionNeverHeld() }
        try await Task.sleep(for: .milliseconds(2))
    }
}

/// The test's URL, in which `parameters` (`user=x&dbname=y`) go first.
func testURL(with parameters: String) async throws -> String {
    let url = try await TestDatabase.url
    return url + (url.contains("?") ? "&" : "?") + parameters
}

/// Where the server of the tests listens: host (or directory of its socket) and port.
func testServerAddress() async throws -> (host: String, port: String) {
    let statement = Statement(
        name: "test_address",
        sql: """
            SELECT coalesce(host(inet_server_addr()), split_part(current_setting('unix_socket_directories'), ',', 1)),
            current_setting('port')
            """)
    let row = try await withConnection { try await $0.execute(statement)[0] }
    return (row.text(0), row.text(1))
}

let backendPID = Statement(name: "test_pid", sql: "SELECT pg_backend_pid()")
let sleepFor = Statement(name: "test_sleep", sql: "SELECT pg_sleep($1::float8)")
let echo8 = Statement(name: "test_echo8", sql: "SELECT $1::int8")
let terminate = Statement(name: "test_terminate", sql: "SELECT pg_terminate_backend($1::int4)")
let divide = Statement(name: "test_divide", sql: "SELECT 1 / $1::int4")
