import Foundation
import TestPostgres
import Testing

@testable import ParleyCluster

@Suite("a private PostgreSQL", .heavy)
struct LocalPostgresTests {
    @Test("two databases of the shared server are empty and apart")
    func sharedDatabases() async throws {
        let one = try await TestPostgres.shared.makeDatabase()
        let two = try await TestPostgres.shared.makeDatabase()
        let binaries = try await PostgresBinaries.find()
        try await PsqlClient(binaries: binaries, url: one).query("CREATE TABLE t (i int)")
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        #expect(try await PsqlClient(binaries: binaries, url: one).query(tables) == "1")
        #expect(try await PsqlClient(binaries: binaries, url: two).query(tables) == "0")
        let copy = try await TestPostgres.shared.makeDatabase(template: one)
        #expect(try await PsqlClient(binaries: binaries, url: copy).query(tables) == "1")
        try await TestPostgres.shared.drop(two)
        await #expect(throws: LocalServiceError.self) {
            try await PsqlClient(binaries: binaries, url: two).query(tables)
        }
    }

    @Test("a second start finds the running server; its data outlives stop, crash and SIGKILL")
    func life() async throws {
        let server = try TestPostgres.makeServer()
        #expect(server.running == nil)
        #expect(try await server.start() == .started)
        let first = try #require(server.running)
        #expect(try await server.start() == .ranAlready)
        #expect(server.running == first)
        #expect(try await server.createDatabase("it's"))
        #expect(try await server.createDatabase("it's") == false)
        try await server.query("CREATE TABLE t (i int)", database: "postgres")

        for (count, mode) in [LocalPostgres.StopMode.fast, .immediate, .kill].enumerated() {
            try await server.query("INSERT INTO t VALUES (\(count))")
            #expect(try await server.stop(mode))
            #expect(server.running == nil)
            #expect(ProcessTable.workers(in: server.dataFolder, named: "postgres").isEmpty)
            #expect(try await server.stop(mode) == false)
            #expect(throws: LocalServiceError.self) { try server.url() }
            #expect(try await server.start() == .started)
            #expect(server.running?.port == first.port, "the port stays")
            #expect(try await server.query("SELECT count(*) FROM t") == "\(count + 1)")
        }
        #expect(try await server.query("SHOW fsync") == "on")
        #expect(try await server.query("SHOW max_connections") == "200")
        #expect(
            try await server.query("SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database LIMIT 1")
                == "UTF8|C.UTF-8")
        #expect(try await server.stop())
    }

    @Test("of two starts at once one starts the server and the other finds it")
    func startsAtOnce() async throws {
        let server = try TestPostgres.makeServer()
        async let one = server.start()
        async let two = server.start()
        let both = try await [one, two]
        #expect(both.filter { $0 == .started }.count == 1)
        #expect(both.filter { $0 == .ranAlready }.count == 1)
        try await server.stop()
    }

    @Test("what an interrupted initdb left is thrown away")
    func halfFinishedInit() async throws {
        let server = try TestPostgres.makeServer()
        try Folder.make("\(server.folder)/data.unfinished/base")
        try Data().write(to: URL(fileURLWithPath: "\(server.folder)/data.unfinished/PG_VERSION"))
        #expect(try await server.start() == .started)
        #expect(!Folder.exists("\(server.folder)/data.unfinished"))
        try await server.stop()
    }

    @Test(
        "a stale file that names another living process does not keep the server from starting, nor that process ended")
    func stalePostmasterFile() async throws {
        let server = try TestPostgres.makeServer()
        try await server.start()
        let file = PostmasterFile.path(in: server.dataFolder)
        var lines = try String(contentsOfFile: file, encoding: .utf8).components(separatedBy: "\n")
        try await server.stop(.kill)
        let user = try ServiceUser.forServer(dataFolder: server.dataFolder)
        let sleeper = Command("/bin/sleep", ["600"])
        let null = try ProcessFile(appendingTo: "/dev/null")
        let other = try Child(
            user?.running(sleeper) ?? sleeper, lifetime: .command, output: null.number, errors: null.number)
        defer {
            try? ProcessIdentity(pid: other.pid)?.signal(SIGKILL)
        }
        lines[0] = "\(other.pid)"
        try Data(lines.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: file))
        #expect(server.running == nil)
        #expect(try await server.stop() == false)
        #expect(try await server.start() == .started)
        #expect(other.exitCode() == nil)
        try await server.stop()
    }

    @Test("a folder with other things in it is refused and left as it is")
    func foreignFolder() async throws {
        let server = try TestPostgres.makeServer()
        try Folder.make("\(server.dataFolder)/photos")
        let error = await #expect(throws: LocalServiceError.self) { try await server.start() }
        #expect(error?.kind == .usage)
        #expect(Folder.exists("\(server.dataFolder)/photos"))
    }

    @Test("a port in use is named together with who has it")
    func portInUse() async throws {
        let holder = try TestPostgres.makeServer()
        try await holder.start()
        let port = try #require(holder.running?.port)
        let server = LocalPostgres(folder: try TestPostgres.makeFolder("port"), port: port)
        let error = await #expect(throws: LocalServiceError.self) { try await server.start() }
        #expect(error?.kind == .unavailable)
        #expect(error?.reason.contains("port \(port)") == true)
        #expect(error?.reason.contains("postgres (process") == true)
        try await holder.stop()
    }

    @Test(
        "root is told which folder the server's user may not enter",
        .enabled(if: ServiceUser.currentID == 0, "only root gives its rights away"))
    func unreachableFolder() async throws {
        let outer = try TestPostgres.makeFolder("closed")
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: outer)
        let error = await #expect(throws: LocalServiceError.self) {
            try await LocalPostgres(folder: "\(outer)/postgres").start()
        }
        #expect(error?.kind == .usage)
        #expect(error?.reason.contains("may not enter \(outer)") == true)
    }

    @Test("a path too long for a socket's name still gets a server on TCP")
    func longPath() async throws {
        let outer = try TestPostgres.makeFolder("long")
        let server = LocalPostgres(folder: "\(outer)/\(String(repeating: "x", count: 120))/postgres")
        try await server.start()
        #expect(try await server.query("SHOW unix_socket_directories") == "")
        try await server.stop()
    }
}
