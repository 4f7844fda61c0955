import Foundation
import TestPostgres
import Testing

@testable import ParleyCluster

@Suite("HAProxy's configuration")
struct HAProxyConfigurationTests {
    private static let servers = (1...3).map { HAProxyConfiguration.Server(name: "n\($0)", port: 8080 + $0) }

    private static func configuration(_ balance: HAProxyConfiguration.Balance) -> HAProxyConfiguration {
        HAProxyConfiguration(host: "127.0.0.1", port: 8080, servers: servers, balance: balance, connectionsMax: 100)
    }

    @Test("names every node, asks for readiness and takes turns")
    func roundRobin() {
        let lines = Self.configuration(.roundRobin).text
            .split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
        for line in [
            "bind 127.0.0.1:8080", "balance roundrobin", "server n1 127.0.0.1:8081", "server n3 127.0.0.1:8083",
            "http-check send meth GET uri /health/ready ver HTTP/1.1 hdr Host parley", "http-reuse never",
            "option redispatch 1", "timeout tunnel 1h", "maxconn 100",
            "default-server check inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions",
        ] {
            #expect(lines.contains(line), "\(line)")
        }
    }

    @Test("rooms in memory are found by hashing their id, wherever the request carries it")
    func byRoom() {
        let text = Self.configuration(.byRoom).text
        #expect(text.contains("balance hdr(X-Parley-Room)\n"))
        #expect(text.contains("hash-type consistent\n"))
        #expect(text.contains("del-header X-Parley-Room"), "a client must not choose the node itself")
        #expect(!text.contains("roundrobin"))
    }

    @Test("serves no more connections than there may be open files")
    func openFiles() {
        #expect(HAProxyConfiguration(ClusterSettings(), openFilesMax: 1_024).connectionsMax == 412)
        #expect(HAProxyConfiguration(ClusterSettings(), openFilesMax: .max).connectionsMax == 20_000)
    }

    @Test(
        "is accepted by HAProxy without a warning",
        .enabled(if: Command.find("haproxy") != nil, "HAProxy is not installed"),
        arguments: [HAProxyConfiguration.Balance.roundRobin, .byRoom])
    func accepted(balance: HAProxyConfiguration.Balance) async throws {
        let haproxy = try #require(Command.find("haproxy"))
        let file = "\(try TestPostgres.makeFolder("haproxy"))/haproxy.cfg"
        try Data(Self.configuration(balance).text.utf8).write(to: URL(fileURLWithPath: file))
        let check = try await Command(haproxy, ["-c", "-f", file]).run(within: .seconds(20))
        #expect(check.exitCode == 0, "\(check.errors)")
        #expect(!(check.output + check.errors).contains("WARNING"), "\(check.output)\(check.errors)")
    }
}
