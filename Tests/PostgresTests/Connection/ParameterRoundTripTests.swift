import ParleyPostgres
import Testing

/// Each value goes to the server in binary form, is judged there, and comes back.
@Suite struct ParameterRoundTripTests {
    private func echo(_ type: String, _ parameter: Parameter) async throws -> Row {
        try await withConnection { connection in
            let statement = Statement(
                name: "echo_\(type.filter(\.isLetter))", sql: "SELECT $1::\(type), $1::\(type)::text")
            return try await connection.execute(statement, [parameter])[0]
        }
    }

    @Test("int8 keeps its extremes", arguments: [0, 1, -1, .min, .max] as [Int64])
    func int8(value: Int64) async throws {
        let row = try await echo("int8", .int8(value))
        #expect(row.int8(0) == value)
        #expect(row.text(1) == "\(value)")
    }

    @Test("int4 keeps its extremes", arguments: [0, -1, .min, .max] as [Int32])
    func int4(value: Int32) async throws {
        let row = try await echo("int4", .int4(value))
        #expect(row.int4(0) == value)
        #expect(row.text(1) == "\(value)")
    }

    @Test("bool", arguments: [true, false])
    func bool(value: Bool) async throws {
        let row = try await echo("bool", .bool(value))
        #expect(row.bool(0) == value)
        #expect(row.text(1) == "\(value)")
    }

    @Test("float8 keeps its extremes", arguments: [0, -1.5, .infinity, .leastNonzeroMagnitude, 1e300] as [Double])
    func float8(value: Double) async throws {
        #expect(try await echo("float8", .float8(value)).float8(0) == value)
    }

    @Test(
        "text, empty and not only ASCII",
        arguments: ["", "a", "größer 🦜 \\ ' \" \n", String(repeating: "x", count: 100_000)])
    func text(value: String) async throws {
        let row = try await echo("text", .text(value))
        #expect(row.text(0) == value)
        #expect(row.bytes(0) == Array(value.utf8))
        #expect(try await echo("text", .text(utf8: Array(value.utf8))).text(1) == value)
    }

    @Test("a text with a zero byte or broken UTF-8 is refused", arguments: [[0x61, 0], [0xC3, 0x28]] as [[UInt8]])
    func brokenText(value: [UInt8]) async throws {
        try await withConnection { connection in
            let statement = Statement(name: "echo_text", sql: "SELECT $1::text")
            let error = await postgresError { () async throws(PostgresError) in
                try await connection.execute(statement, [.text(utf8: value)])
            }
            #expect(error?.sqlState == "22021")
        }
    }

    @Test("json goes and comes as its bytes")
    func json() async throws {
        let row = try await echo("json", .text("{\"a\" : 1}"))
        #expect(row.text(0) == "{\"a\" : 1}")
    }

    @Test("bytea of every byte, and none")
    func bytea() async throws {
        let all = (0...255).map { UInt8($0) }
        #expect(try await echo("bytea", .bytea(all)).bytes(0) == all)
        let empty = try await echo("bytea", .bytea([]))
        #expect(empty.bytes(0).isEmpty)
        #expect(!empty.isNull(0))
        #expect(empty.withBytes(0) { $0?.count } == 0)
    }

    @Test("timestamptz counts microseconds from 1970")
    func timestamp() async throws {
        let row = try await echo("timestamptz", .timestamp(microseconds: 1_700_000_000_123_456))
        #expect(row.timestamp(0) == 1_700_000_000_123_456)
        let epoch = try await withConnection { connection in
            try await connection.execute(
                Statement(
                    name: "epochs",
                    sql: "SELECT 'epoch'::timestamptz, 'infinity'::timestamptz, '-infinity'::timestamptz"))[0]
        }
        #expect(epoch.timestamp(0) == 0)
        #expect(epoch.timestamp(1) == .max)
        #expect(epoch.timestamp(2) == .min)
    }

    @Test(
        "NULL of each type comes back as nil",
        arguments: [
            ("int8", .int8(nil)), ("int4", .int4(nil)), ("bool", .bool(nil)), ("float8", .float8(nil)),
            ("text", .text(nil)), ("text", .text(utf8: nil)), ("bytea", .bytea(nil)), ("int8[]", .null),
            ("timestamptz", .timestamp(microseconds: nil)),
        ] as [(String, Parameter)])
    func null(type: String, parameter: Parameter) async throws {
        let row = try await echo(type, parameter)
        #expect(row.isNull(0))
        #expect(row.bytesOrNil(0) == nil)
        #expect(row.textOrNil(1) == nil)
        #expect(row.withBytes(0) { $0 == nil })
    }

    @Test("int8[] with extremes, with NULLs, and empty")
    func int8Array() async throws {
        let row = try await echo("int8[]", .int8Array([Int64.min, 0, .max]))
        #expect(row.int8Array(0) == [.min, 0, .max])
        #expect(row.text(1) == "{-9223372036854775808,0,9223372036854775807}")
        #expect(try await echo("int8[]", .int8Array([1, nil])).text(1) == "{1,NULL}")
        let empty = try await echo("int8[]", .int8Array([Int64]()))
        #expect(empty.int8Array(0).isEmpty)
        #expect(empty.text(1) == "{}")
    }

    @Test("int4[], bool[] and float8[]")
    func otherNumbers() async throws {
        let row = try await echo("int4[]", .int4Array([1, -2] as [Int32]))
        #expect(row.int4Array(0) == [1, -2])
        #expect(try await echo("int4[]", .int4Array([nil, 7] as [Int32?])).text(1) == "{NULL,7}")
        #expect(try await echo("bool[]", .boolArray([true, false])).text(1) == "{t,f}")
        #expect(try await echo("float8[]", .float8Array([0.5, -1])).text(1) == "{0.5,-1}")
    }

    @Test("text[] with empty, quoted and NULL elements, and empty")
    func textArray() async throws {
        let values = ["", "a,b", "{\"x\"}", "NULL", nil, "ü"]
        let row = try await echo("text[]", .textArray(values))
        #expect(row.textArray(0) == values)
        #expect(row.text(1) == #"{"","a,b","{\"x\"}","NULL",NULL,ü}"#)
        #expect(try await echo("text[]", .textArray([[0x61], [0x62]] as [[UInt8]])).textArray(0) == ["a", "b"])
        #expect(try await echo("text[]", .textArray([[0x61], nil] as [[UInt8]?])).textArray(0) == ["a", nil])
        #expect(try await echo("text[]", .textArray([String]())).textArray(0).isEmpty)
    }

    @Test("bytea[] with NULL and empty elements")
    func byteaArray() async throws {
        let values: [[UInt8]?] = [[0, 255], [], nil]
        #expect(try await echo("bytea[]", .byteaArray(values)).byteaArray(0) == values)
        #expect(try await echo("bytea[]", .byteaArray([[1]] as [[UInt8]])).text(1) == #"{"\\x01"}"#)
    }

    @Test("an array that does not begin at 1 is read by its order")
    func otherLowerBound() async throws {
        let row = try await withConnection { connection in
            try await connection.execute(Statement(name: "lower", sql: "SELECT '[5:6]={8,9}'::int8[]"))[0]
        }
        #expect(row.int8Array(0) == [8, 9])
    }

    @Test("affected counts what was written, count what was returned")
    func affected() async throws {
        try await withConnection { connection in
            let results = try await connection.execute([
                (Statement(name: "make", sql: "CREATE TEMP TABLE IF NOT EXISTS affected (n int)"), []),
                (Statement(name: "fill", sql: "INSERT INTO affected SELECT generate_series(1, 5)"), []),
                (Statement(name: "some", sql: "UPDATE affected SET n = n WHERE n > 3 RETURNING n"), []),
            ])
            #expect(results.map(\.affected) == [0, 5, 2])
            #expect(results.map(\.count) == [0, 0, 2])
            #expect(results[2].map { $0.int4(0) }.sorted() == [4, 5])
        }
    }

    @Test("a parameter never shows its value")
    func masked() {
        #expect("\(Parameter.text("hidden"))" == "6 bytes")
        #expect("\(Parameter.null)" == "null")
    }
}
