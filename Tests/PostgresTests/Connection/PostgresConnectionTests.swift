import Logging
import NIOConcurrencyHelpers
import ParleyPostgres
import Testing

@Suite struct PostgresConnectionTests {
    @Test("16 concurrent callers get their own answers")
    func concurrentCallers() async throws {
        try await withConnection { connection in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for caller in 0..<16 {
                    group.addTask {
                        for round in 0..<200 {
                            let value = Int64(caller * 1_000 + round)
                            guard try await connection.execute(echo8, [.int8(value)])[0].int8(0) == value else {
                                return false
                            }
                        }
                        return true
                    }
                }
                for try await isOwn in group { #expect(isOwn) }
            }
        }
    }

    @Test("an error ends only its own job, with what the server says of it")
    func errorEndsOnlyItsJob() async throws {
        try await withConnection { connection in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for value in 0..<60 {
                    group.addTask {
                        let error = await postgresError { () async throws(PostgresError) in
                            try await connection.execute(divide, [.int4(Int32(value % 2))])
                        }
                        #expect(error?.sqlState == (value % 2 == 0 ? "22012" : nil))
                    }
                }
                try await group.waitForAll()
            }
            #expect(connection.generation == 1)
        }
    }

    @Test("a violated constraint is named; values stay out of the description")
    func constraint() async throws {
        try await withConnection { connection in
            _ = try await connection.execute(
                Statement(name: "keyed", sql: "CREATE TEMP TABLE keyed (k text CONSTRAINT one_of_each UNIQUE)"))
            let insert = Statement(name: "insert_key", sql: "INSERT INTO keyed VALUES ($1::text)")
            try await connection.execute(insert, [.text("hidden")])
            let error = await postgresError { () async throws(PostgresError) in
                try await connection.execute(insert, [.text("hidden")])
            }
            guard case .server("23505", _, let detail, _, "one_of_each") = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(detail?.contains("hidden") == true)
            #expect(error?.description.contains("hidden") == false)
        }
    }

    @Test("a constraint that is checked at the commit fails the job, and those behind it have their answers")
    func deferredConstraint() async throws {
        try await withConnection { connection in
            _ = try await connection.execute(
                Statement(
                    name: "deferred",
                    sql: "CREATE TEMP TABLE deferred (k int UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
            let insert = Statement(name: "insert_deferred", sql: "INSERT INTO deferred VALUES ($1::int4)")
            try await connection.execute(insert, [.int4(1)])
            async let failing = postgresError { () async throws(PostgresError) in
                try await connection.execute(insert, [.int4(1)])
            }
            async let others = withThrowingTaskGroup(of: Int64.self) { group in
                for value in 0..<20 {
                    group.addTask { try await connection.execute(echo8, [.int8(Int64(value))])[0].int8(0) }
                }
                return try await group.reduce(0, +)
            }
            #expect(await failing?.sqlState == "23505")
            #expect(try await others == 190)
            #expect(try await connection.execute(echo8, [.int8(7)])[0].int8(0) == 7)
            #expect(connection.generation == 1)
        }
    }

    @Test("steps of one job are one transaction: an error in the last undoes the first")
    func stepsAreOneTransaction() async throws {
        try await withConnection { connection in
            let make = Statement(name: "make_steps", sql: "CREATE TEMP TABLE steps (n int)")
            try await connection.execute(make)
            let insert = Statement(name: "insert_step", sql: "INSERT INTO steps VALUES ($1::int4)")
            let error = await postgresError { () async throws(PostgresError) in
                try await connection.execute([(insert, [.int4(1)]), (divide, [.int4(0)]), (echo8, [.int8(1)])])
            }
            #expect(error?.sqlState == "22012")
            let count = Statement(name: "count_steps", sql: "SELECT count(*) FROM steps")
            #expect(try await connection.execute(count)[0].int8(0) == 0)
            // The statement behind the error was never prepared, and works now.
            #expect(try await connection.execute(echo8, [.int8(3)])[0].int8(0) == 3)
        }
    }

    @Test("a later step may use what an earlier one has created")
    func stepUsesEarlierStep() async throws {
        try await withConnection { connection in
            let rows = try await connection.execute([
                (Statement(name: "create_late", sql: "CREATE TEMP TABLE late (n int)"), []),
                (Statement(name: "insert_late", sql: "INSERT INTO late VALUES (1), (2) RETURNING n"), []),
            ])
            #expect(rows[1].count == 2)
        }
    }

    @Test("jobs run in the order in which they were handed over")
    func order() async throws {
        try await withConnection { connection in
            try await connection.execute(
                Statement(
                    name: "make_order", sql: "CREATE TEMP TABLE ordered (at int GENERATED ALWAYS AS IDENTITY, n int)"))
            let insert = Statement(name: "insert_order", sql: "INSERT INTO ordered (n) VALUES ($1::int4)")
            for value in 0..<500 { connection.submit(insert, [.int4(Int32(value))]) }
            let read = Statement(name: "read_order", sql: "SELECT n FROM ordered ORDER BY at")
            #expect(try await connection.execute(read).map { $0.int4(0) } == Array(0..<500))
        }
    }

    @Test("a result of 200,000 rows and one of 32 MB arrive whole")
    func bigResult() async throws {
        try await withConnection { connection in
            let many = Statement(name: "many", sql: "SELECT n FROM generate_series(1, 200000) n")
            let rows = try await connection.execute(many)
            #expect(rows.count == 200_000)
            #expect(rows.reduce(0) { $0 + Int($1.int4(0)) } == 200_000 * 200_001 / 2)
            let large = Statement(name: "large", sql: "SELECT repeat('x', 33554432)")
            #expect(try await connection.execute(large, timeout: .seconds(30))[0].bytes(0).count == 33_554_432)
        }
    }

    @Test("parameters larger than the socket's buffer go out while answers come in")
    func bigParameters() async throws {
        try await withConnection { connection in
            let length = Statement(name: "length", sql: "SELECT octet_length($1::bytea), $1::bytea")
            let value = [UInt8](repeating: 7, count: 6 << 20)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<6 {
                    group.addTask {
                        let row = try await connection.execute(length, [.bytea(value)], timeout: .seconds(30))[0]
                        #expect(row.int4(0) == 6 << 20)
                        #expect(row.bytes(1) == value)
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("an empty job is a round trip")
    func emptyJob() async throws {
        let rows = try await withConnection { try await $0.execute([]) }
        #expect(rows.isEmpty)
    }

    @Test("after DISCARD ALL the statements are prepared anew, without an error")
    func discardAll() async throws {
        try await withConnection { connection in
            for _ in 0..<6 {
                for value in 1...3 {
                    #expect(try await connection.execute(echo8, [.int8(Int64(value))])[0].int8(0) == value)
                }
                try await connection.execute(Statement(name: "deallocate", sql: "DEALLOCATE ALL"))
            }
            #expect(connection.generation == 1)
        }
    }

    @Test("a statement's name that the server has for something else does no harm")
    func nameTaken() async throws {
        try await withConnection { connection in
            try await connection.execute(Statement(name: "taker", sql: "PREPARE test_echo8 AS SELECT 'other'"))
            for _ in 0..<3 { #expect(try await connection.execute(echo8, [.int8(5)])[0].int8(0) == 5) }
        }
    }

    @Test("a statement whose table has got another column is planned anew")
    func planOutdated() async throws {
        try await withConnection { connection in
            try await connection.execute(Statement(name: "make_plan", sql: "CREATE TEMP TABLE planned (a int4)"))
            try await connection.execute(Statement(name: "fill_plan", sql: "INSERT INTO planned VALUES (1)"))
            let all = Statement(name: "read_plan", sql: "SELECT * FROM planned")
            #expect(try await connection.execute(all)[0].columnCount == 1)
            try await connection.execute(
                Statement(name: "alter_plan", sql: "ALTER TABLE planned ADD b int8 DEFAULT 9"))
            #expect(try await connection.execute(all)[0].int8(1) == 9)
            #expect(try await connection.execute(all)[0].int8(1) == 9)
        }
    }

    @Test("a statement with an error in it is an error each time, not a lost connection")
    func syntaxError() async throws {
        try await withConnection { connection in
            for _ in 0..<2 {
                let error = await postgresError { () async throws(PostgresError) in
                    try await connection.execute(Statement(name: "broken", sql: "SELEC 1"))
                }
                #expect(error?.sqlState == "42601")
            }
            #expect(connection.generation == 1)
        }
    }

    @Test("a job that leaves a transaction open costs the connection, not the next job")
    func openTransaction() async throws {
        try await withConnection { connection in
            let error = await postgresError { () async throws(PostgresError) in
                try await connection.execute(Statement(name: "begin", sql: "BEGIN"))
            }
            #expect(error == nil)
            #expect(try await connection.execute(echo8, [.int8(1)], timeout: .seconds(10))[0].int8(0) == 1)
            try await eventually { connection.generation == 2 }
        }
    }

    @Test("a full queue refuses at once, and takes jobs again when it has drained")
    func queueFull() async throws {
        try await withConnection(quickSettings { $0.queueJobsMax = 2 }) { connection in
            connection.submit(sleepFor, [.float8(0.3)])
            connection.submit(sleepFor, [.float8(0)])
            let refused = await postgresError { () async throws(PostgresError) in
                try await connection.execute(echo8, [.int8(1)])
            }
            #expect(refused == .unavailable(reason: "too much waits for the database already"))
            try await eventually {
                await postgresError { () async throws(PostgresError) in
                    try await connection.execute(echo8, [.int8(1)])
                } == nil
            }
        }
    }

    @Test("a caller that awaits each answer never finds a queue of one full")
    func queueOfOne() async throws {
        try await withConnection(quickSettings { $0.queueJobsMax = 1 }) { connection in
            for value in 0..<500 { try await connection.execute(echo8, [.int8(Int64(value))]) }
        }
    }

    @Test("bytes are bounded too, but a single large job goes through an empty queue")
    func queueBytes() async throws {
        try await withConnection(quickSettings { $0.queueBytesMax = 1_000 }) { connection in
            let length = Statement(name: "test_length", sql: "SELECT octet_length($1::bytea)")
            let large = Parameter.bytea([UInt8](repeating: 1, count: 100_000))
            let rows = try await connection.execute(length, [large])
            #expect(rows[0].int4(0) == 100_000)
            connection.submit(sleepFor, [.float8(0.2)])
            let refused = await postgresError { () async throws(PostgresError) in
                try await connection.execute(length, [large])
            }
            #expect(refused == .unavailable(reason: "too much waits for the database already"))
        }
    }

    @Test("session settings hold on the connection, and application_name shows the role")
    func sessionSettings() async throws {
        let settings = quickSettings { $0.sessionSettings = ["lock_timeout": "777ms", "work_mem": "5MB"] }
        try await withConnection(role: "settings", settings) { connection in
            let show = Statement(
                name: "show",
                sql: """
                    SELECT current_setting('lock_timeout'), current_setting('work_mem'),
                    current_setting('application_name')
                    """)
            let row = try await connection.execute(show)[0]
            #expect((0..<3).map { row.text($0) } == ["777ms", "5MB", "parley/settings"])
        }
    }

    @Test("the observer hears of each job, also of those that nobody awaits")
    func observer() async throws {
        let observer = RecordingObserver()
        try await withConnection(role: "observed", observer: observer) { connection in
            connection.submit(divide, [.int4(0)])
            try await connection.execute(echo8, [.int8(1)])
        }
        let events = observer.events.withLockedValue { $0 }
        #expect(events.contains("connected 1"))
        #expect(events.contains("test_divide 22012"))
        #expect(events.contains("test_echo8 ok"))
        #expect(events.contains("disconnected"))
    }
}

final class RecordingObserver: ConnectionObserver {
    let events = NIOLockedValueBox<[String]>([])

    func connected(role: String, generation: Int, milliseconds: Double) { add("connected \(generation)") }
    func connectFailed(role: String, error: PostgresError) { add("failed") }
    func disconnected(role: String, reason: String) { add("disconnected") }
    func jobFinished(role: String, statement: String, milliseconds: Double, error: PostgresError?) {
        add("\(statement) \(error.map { $0.sqlState ?? $0.description } ?? "ok")")
    }

    private func add(_ event: String) { events.withLockedValue { $0.append(event) } }
}
