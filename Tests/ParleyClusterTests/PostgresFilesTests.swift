import Foundation
import TestPostgres
import Testing

@testable import ParleyCluster

@Suite("what PostgreSQL's files and programs say")
struct PostgresFilesTests {
    @Test("a server's file tells its process, port and state, also while it is incomplete")
    func postmasterFile() throws {
        let ready = try #require(
            PostmasterFile(text: "42\n/data\n1700000000\n5433\n/run\n127.0.0.1\n  123  4\nready   \n"))
        #expect(ready.pid == 42)
        #expect(ready.port == 5433)
        #expect(ready.isReady)
        let starting = try #require(PostmasterFile(text: "42\n/data\n1700000000\n5433\n/run\n"))
        #expect(starting.port == 5433)
        #expect(!starting.isReady)
        #expect(PostmasterFile(text: "42\n")?.isReady == false)
        let stopping = PostmasterFile(text: "42\n/data\n1700000000\n5433\n/run\n127.0.0.1\n1 4\nstopping\n")
        #expect(stopping?.isReady == false)
        for wrong in ["", "\n", "x\n", "0\n", "-5\n"] { #expect(PostmasterFile(text: wrong) == nil, "\(wrong)") }
    }

    @Test(
        "the major version is read from what the programs print",
        arguments: [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", 15), ("postgres (PostgreSQL) 17beta1", 17),
            ("14\n", 14),
        ])
    func major(text: String, major: Int) {
        #expect(PostgresBinaries.major(in: text) == major)
    }

    @Test("an override that holds no PostgreSQL is named, nothing else is taken instead")
    func wrongFolder() async {
        let error = await #expect(throws: LocalServiceError.self) {
            try await PostgresBinaries.find(environment: ["PARLEY_PGBIN": "/nowhere", "PATH": "/usr/bin"])
        }
        #expect(error?.kind == .unavailable)
        #expect(error?.reason.contains("/nowhere") == true)
    }

    @Test("without PostgreSQL the command that installs it is named")
    func notInstalled() async {
        let error = await #expect(throws: LocalServiceError.self) {
            try await PostgresBinaries.find(environment: ["PATH": "/nowhere"], distribution: "/nowhere")
        }
        #expect(error?.reason.contains("apt-get install postgresql") == true)
    }

    @Test("the newest version is taken, unless the data needs another")
    func newest() async throws {
        let folder = try TestPostgres.makeFolder("versions")
        for major in [9, 14, 16] {
            let bin = "\(folder)/\(major)/bin"
            try Folder.make(bin)
            for name in ["initdb", "postgres", "psql"] {
                try Data("#!/bin/sh\necho 'postgres (PostgreSQL) \(major).3'\n".utf8)
                    .write(to: URL(fileURLWithPath: "\(bin)/\(name)"))
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: "\(bin)/\(name)")
            }
        }
        let none = ["PATH": "/nowhere"]
        #expect(try await PostgresBinaries.find(environment: none, distribution: folder).major == 16)
        #expect(try await PostgresBinaries.find(major: 14, environment: none, distribution: folder).major == 14)
        let missing = await #expect(throws: LocalServiceError.self) {
            try await PostgresBinaries.find(major: 15, environment: none, distribution: folder)
        }
        #expect(missing?.reason.contains("postgresql-15") == true)
        let old = await #expect(throws: LocalServiceError.self) {
            try await PostgresBinaries.find(
                environment: ["PARLEY_PGBIN": "\(folder)/9/bin"], distribution: folder)
        }
        #expect(old?.reason.contains("too old") == true)
    }

    @Test("a user is found in the table by name or number")
    func users() {
        let table = "root:x:0:0:root:/root:/bin/bash\nbroken\npostgres:x:101:104::/var/lib/postgresql:/bin/bash\n"
        #expect(ServiceUser(table: table) { $0.name == "postgres" }?.gid == 104)
        #expect(ServiceUser(table: table) { $0.uid == 101 }?.name == "postgres")
        #expect(ServiceUser(table: table) { $0.name == "nobody" } == nil)
    }

    @Test("names and texts are quoted for SQL")
    func quoting() {
        #expect(PsqlClient.identifier(#"a"b"#) == #""a""b""#)
        #expect(PsqlClient.literal("it's") == "'it''s'")
    }
}
