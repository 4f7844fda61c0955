import Foundation
import ParleyCluster
import TestPostgres
import Testing

/// A node that cannot start says why in one line on standard error, and ends with a code other than 0.
@Suite("A node that cannot start", .heavy)
struct StartTests {
    private func serve(_ arguments: [String]) async throws -> Command.Finished {
        try await Command(TestNode.executable.path, ["serve", "--port", "0", "--log-level", "critical"] + arguments)
            .run(within: .seconds(60))
    }

    private func check(_ finished: Command.Finished, code: Int32, says words: [String]) {
        #expect(finished.exitCode == code)
        let lines = finished.errors.split(separator: "\n")
        #expect(lines.count == 1, "\(finished.errors)")
        for word in words { #expect(finished.errors.contains(word), "\(finished.errors)") }
    }

    @Test("without a way to know clients")
    func anonymous() async throws {
        check(try await serve(["--store", "memory"]), code: 64, says: ["--allow-anonymous"])
    }

    @Test("without a database")
    func noDatabase() async throws {
        check(try await serve(["--allow-anonymous"]), code: 64, says: ["--database-url", "--store memory"])
    }

    @Test("with a database that is not there")
    func wrongDatabase() async throws {
        let url = try await TestPostgres.shared.makeDatabase()
        let wrong = url.replacing(url.split(separator: "/").last ?? "", with: "no_such_database")
        let nobody = url.replacing("parley@", with: "nobody_here@")
        let start = ContinuousClock.now
        check(
            try await serve(["--allow-anonymous", "--database-url", wrong]), code: 69,
            says: ["no_such_database", "does not exist"])
        check(
            try await serve(["--allow-anonymous", "--database-url", nobody]), code: 69,
            says: ["nobody_here", "does not exist"])
        #expect(ContinuousClock.now - start < .seconds(9), "what lasts is not tried again")
        check(
            try await serve(["--allow-anonymous", "--database-url", "postgresql://h/x?sslmod=off"]), code: 69,
            says: ["invalid URI query parameter", "sslmod"])
    }

    @Test("with a server that is not there")
    func unreachable() async throws {
        let port = try TCPPort.free()
        check(
            try await serve(["--allow-anonymous", "--database-url", "postgresql://nobody@127.0.0.1:\(port)/x"]),
            code: 69,
            says: ["127.0.0.1"])
    }

    @Test("with a port that is in use, without a trace in the database")
    func portInUse() async throws {
        let node = try await TestNode.start("n1", ["--store", "memory"])
        let url = try await TestPostgres.shared.makeDatabase()
        for store in [["--store", "memory"], ["--database-url", url]] {
            check(
                try await serve(["--allow-anonymous", "--log-level", "info", "--port", "\(node.port)"] + store),
                code: 69, says: ["\(node.port)", "in use", "--port"])
        }
        let list = try await Command(TestNode.executable.path, ["nodes", "--database-url", url])
            .run(within: .seconds(60))
        #expect(!list.output.contains("gone") && !list.output.contains("alive"), "\(list.output)")
        await node.kill()
    }

    @Test("with an address that is not there, or none")
    func address() async throws {
        let memory = ["--allow-anonymous", "--store", "memory"]
        check(try await serve(memory + ["--host", ""]), code: 64, says: ["--host"])
        for host in ["nohost.invalid", "192.0.2.1"] {
            check(try await serve(memory + ["--host", host]), code: 69, says: [host, "--host"])
        }
    }

    @Test("without the right to make the schema")
    func missingRights() async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.query("CREATE ROLE poor LOGIN")
        _ = try await server.createDatabase("rights")
        let url = try server.url(database: "rights").replacing("parley@", with: "poor@")
        check(
            try await serve(["--allow-anonymous", "--database-url", url]), code: 69, says: ["poor", "GRANT CREATE"])
        _ = try await Command(
            TestNode.executable.path, ["migrate", "--database-url", try server.url(database: "rights")]
        ).run(within: .seconds(60))
        check(
            try await serve(["--allow-anonymous", "--database-url", url]), code: 69,
            says: ["poor", "SELECT parley.set_up_roles(node => 'poor'"])
        _ = try await server.query("GRANT USAGE ON SCHEMA parley TO poor", database: "rights")
        _ = try await server.query("GRANT SELECT ON ALL TABLES IN SCHEMA parley TO poor", database: "rights")
        check(
            try await serve(["--allow-anonymous", "--database-url", url]), code: 69,
            says: ["poor", "SELECT parley.set_up_roles(node => 'poor'"])
        _ = try await server.stop(.immediate)
    }

    @Test("with a schema that is newer than the program")
    func newerSchema() async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("newer")
        let url = try server.url(database: "newer")
        _ = try await Command(TestNode.executable.path, ["migrate", "--database-url", url]).run(within: .seconds(60))
        _ = try await server.query(
            """
            INSERT INTO parley.migration (number, name, parley_version, older_nodes_go_on)
            VALUES (9999, 'from_the_future', '99.0', false)
            """, database: "newer")
        check(
            try await serve(["--allow-anonymous", "--database-url", url]), code: 69, says: ["9999", "newer Parley"])
        let status = try await Command(TestNode.executable.path, ["migrate", "--status", "--database-url", url])
            .run(within: .seconds(60))
        #expect(status.output.contains("applied  1 initial\n"))
        check(status, code: 69, says: ["9999", "newer Parley"])
        _ = try await server.stop(.immediate)
    }

    @Test("with a setting out of its range, or in the environment")
    func settings() async throws {
        check(
            try await serve(["--allow-anonymous", "--store", "memory", "--tick-ms", "0"]), code: 64,
            says: ["--tick-ms", "1 to"])
        var command = Command(TestNode.executable.path, ["serve", "--store", "memory"])
        command.environment["PARLEY_TICK_MS"] = "soon"
        check(try await command.run(within: .seconds(60)), code: 64, says: ["PARLEY_TICK_MS", "soon"])
    }
}
