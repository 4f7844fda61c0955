import Foundation
import TestPostgres
import Testing

@testable import ParleyCluster

@Suite("processes", .heavy)
struct ProcessTests {
    @Test("a stat line with blanks and brackets in the name is understood")
    func statLine() {
        let rest = (4...21).map(String.init).joined(separator: " ")
        let stat = ProcessStat(line: "17 (a) S (b) S \(rest) 98765 23 24")
        #expect(stat?.state == "S")
        #expect(stat?.startTicks == 98_765)
        #expect(ProcessStat(line: "17 (a) Z \(rest) 1 23")?.hasEnded == true)
        #expect(ProcessStat(line: "17 (a) S 1 2") == nil)
        #expect(ProcessStat(line: "") == nil)
    }

    @Test("a process that has the number but not the start or boot of another is not that one")
    func identity() throws {
        let mine = try #require(ProcessIdentity(pid: ProcessInfo.processInfo.processIdentifier))
        #expect(mine.isRunning)
        #expect(ProcessIdentity(text: mine.text) == mine)
        #expect(mine.uptime != nil)
        #expect(!ProcessIdentity(pid: mine.pid, startTicks: mine.startTicks + 1, boot: mine.boot).isRunning)
        #expect(!ProcessIdentity(pid: mine.pid, startTicks: mine.startTicks, boot: "another").isRunning)
        #expect(ProcessIdentity(pid: 0) == nil)
        #expect(ProcessIdentity(pid: -1) == nil)
        for wrong in ["", "17", "17\n1", "17\n1\n\n", "x\n1\nboot\n", "-1\n1\nboot\n", "17\n1\nboot\nmore\n"] {
            #expect(ProcessIdentity(text: wrong) == nil, "\(wrong)")
        }
    }

    @Test("a child's output, exit code and signal are told; one that takes too long is ended")
    func run() async throws {
        let shell = "/bin/sh"
        let done = try await Command(shell, ["-c", "echo out; echo err >&2; pwd; exit 7"]).run(within: .seconds(10))
        #expect(done.exitCode == 7)
        #expect(done.output == "out\n/\n")
        #expect(done.errors == "err\n")
        #expect(try await Command(shell, ["-c", "kill -9 $$"]).run(within: .seconds(10)).exitCode == 137)
        await #expect(throws: LocalServiceError.self) {
            try await Command("/bin/sleep", ["60"]).run(within: .milliseconds(50))
        }
        #expect(try await Command("/nowhere/x", []).run(within: .seconds(10)).exitCode == 127)
    }

    @Test("a program that lives on with the same output does not keep the caller waiting")
    func grandchild() async throws {
        let done = try await Command("/bin/sh", ["-c", "sleep 600 & echo $!"]).run(within: .seconds(60))
        let pid = try #require(Int32(done.output.trimmingCharacters(in: .whitespacesAndNewlines)))
        let other = try #require(ProcessIdentity(pid: pid), "the caller was kept until the program had ended")
        #expect(other.isRunning)
        try other.signal(SIGKILL)
    }

    @Test("of two who want a lock the second gets it when the first lets go, also after the file was removed")
    func lock() async throws {
        let path = "\(try TestPostgres.makeFolder("lock"))/lock"
        var first: FileLock? = try await FileLock(path, within: .seconds(1))
        await #expect(throws: LocalServiceError.self) { try await FileLock(path, within: .milliseconds(50)) }
        withExtendedLifetime(first) {}
        first = nil
        let second = try await FileLock(path, within: .seconds(1))
        try Folder.remove(path)
        let third = try await FileLock(path, within: .seconds(1))
        await #expect(throws: LocalServiceError.self) { try await FileLock(path, within: .milliseconds(50)) }
        withExtendedLifetime((second, third)) {}
    }

    @Test("the table of TCP sockets gives those that listen on the port, not those connected to it")
    func listeners() {
        let table = """
              sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
               0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1
               1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 222 1
               2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1
            """
        #expect(TCPPort.listeningSockets(on: 8080, table: table) == ["socket:[111]"])
        #expect(TCPPort.listeningSockets(on: 8082, table: table).isEmpty)
        #expect(TCPPort.listeningSockets(on: 8080, table: "").isEmpty)
    }

    @Test("the status of an HTTP answer is read, anything else is none")
    func statusLine() {
        #expect(HTTPProbe.statusLine(in: "HTTP/1.1 200 OK\r\nX: 1\r\n\r\n") == 200)
        #expect(HTTPProbe.statusLine(in: "HTTP/1.0 503 Service Unavailable\r\n") == 503)
        #expect(HTTPProbe.statusLine(in: "HTTP/1.1 2000\r\n") == nil)
        #expect(HTTPProbe.statusLine(in: "SSH-2.0-x 200\r\n") == nil)
        #expect(HTTPProbe.statusLine(in: "") == nil)
    }

    @Test("programs are found in PATH, and in the system's folders when PATH lacks them")
    func find() {
        #expect(Command.find("sh", path: "/nowhere:/bin") == "/bin/sh")
        #expect(Command.find("sh", path: "") == "/usr/bin/sh")
        #expect(Command.find("no-such-program") == nil)
    }
}
