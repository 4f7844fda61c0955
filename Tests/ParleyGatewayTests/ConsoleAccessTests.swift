import HTTPTypes
import NIOCore
import Testing

@testable import ParleyGateway

@Suite("Who may see the console")
struct ConsoleAccessTests {
    private func isAllowed(
        _ access: ConsoleAccess, from peer: String, host: String = "localhost:8080", _ fields: [String: String] = [:]
    ) throws -> Bool {
        var head = HTTPRequest(method: .get, scheme: "http", authority: host, path: "/console")
        for (name, value) in fields { head.headerFields[try #require(HTTPField.Name(name))] = value }
        return access.allows(try SocketAddress(ipAddress: peer, port: 40_000), head)
    }

    @Test("this machine, by whatever of its own names")
    func local() throws {
        for peer in ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"] {
            #expect(try isAllowed(.thisMachine, from: peer))
        }
        for host in ["localhost", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "[::1]"] {
            #expect(try isAllowed(.thisMachine, from: "127.0.0.1", host: host))
        }
    }

    @Test("nobody elsewhere: not by a balancer on this machine, and not by a name that only means it")
    func elsewhere() throws {
        for peer in ["10.0.0.1", "192.0.2.7", "2001:db8::1", "::ffff:10.0.0.1"] {
            #expect(try !isAllowed(.thisMachine, from: peer))
        }
        for field in ["X-Forwarded-For", "x-forwarded-proto", "Forwarded", "Via"] {
            #expect(try !isAllowed(.thisMachine, from: "127.0.0.1", [field: "10.0.0.1"]))
        }
        for host in ["", "evil.example", "evil.example:8080", "localhost.evil.example", "127.evil.example", "[::2]"] {
            #expect(try !isAllowed(.thisMachine, from: "127.0.0.1", host: host))
        }
        #expect(
            !ConsoleAccess.thisMachine.allows(
                nil, HTTPRequest(method: .get, scheme: "http", authority: "localhost", path: "/")))
    }

    @Test("all, or none at all")
    func extremes() throws {
        #expect(try isAllowed(.everybody, from: "192.0.2.7", host: "chat.example", ["X-Forwarded-For": "10.0.0.1"]))
        #expect(try !isAllowed(.nobody, from: "127.0.0.1"))
    }
}
