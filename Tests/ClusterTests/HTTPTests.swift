import Foundation
import TestPostgres
import Testing

/// HTTP as a node speaks it, asked by hand.
@Suite("HTTP of a node", .heavy)
struct HTTPTests {
    private static let upgrade = """
        Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n
        """

    private func check(_ answer: RawHTTP.Answer, _ status: String, ends: Bool, _ request: String) {
        #expect(answer.text.hasPrefix("HTTP/1.1 \(status) "), "\(request): \(answer.text)")
        #expect(answer.text.components(separatedBy: "HTTP/1.1 ").count == 2, "\(request): \(answer.text)")
        #expect(answer.hasEnded == ends, "\(request): \(answer.text)")
    }

    @Test("what is not HTTP/1 is answered once with 400, and its connection ends")
    func malformed() async throws {
        let node = try await TestNode.start("n1", ["--store", "memory"])
        for request in [
            "garbage\r\n\r\n", "GET / HTTP/2.0\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET /ws HTTP/1.1\r\nHost: a\r\nHost: b\r\n\(Self.upgrade)",
            "GET /ws HTTP/1.1\r\n\(Self.upgrade)", "GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
        ] {
            check(try await RawHTTP.ask(node, request), "400", ends: true, request)
        }
        await node.kill()
    }

    @Test("a connection that is not to be kept ends with its answer; another one is kept")
    func keeping() async throws {
        let node = try await TestNode.start("n1", ["--store", "memory"])
        for request in [
            "GET /health/live HTTP/1.0\r\n\r\n", "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        ] {
            check(try await RawHTTP.ask(node, request), "200", ends: true, request)
        }
        let request = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
        let two = try await RawHTTP.ask(node, request + request) { $0.components(separatedBy: "live\n").count == 3 }
        #expect(!two.hasEnded)
        await node.kill()
    }

    @Test("a request that names the whole URL is the same request, for a page and for a WebSocket")
    func absoluteForm() async throws {
        let node = try await TestNode.start("n1", ["--store", "memory"])
        let page = try await RawHTTP.ask(node, "GET http://x/health/live HTTP/1.0\r\n\r\n")
        check(page, "200", ends: true, "a page")
        for url in ["http://x/ws", "http://x:80/ws?a=b", "ws://x/ws", "HTTP://x/ws"] {
            let answer = try await RawHTTP.ask(node, "GET \(url) HTTP/1.1\r\nHost: x\r\n\(Self.upgrade)") {
                $0.contains("\r\n\r\n")
            }
            #expect(answer.text.hasPrefix("HTTP/1.1 101 "), "\(url): \(answer.text)")
        }
        await node.kill()
    }

    @Test("a method that a path does not have is answered with 405 and those that it has; HEAD is GET without the body")
    func methods() async throws {
        let node = try await TestNode.start("n1", ["--store", "memory"])
        for path in ["/", "/ws", "/metrics", "/health/live", "/health/ready", "/chat.js"] {
            for method in ["POST", "PUT", "DELETE", "OPTIONS", "FOO"] {
                let request = "\(method) \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                let answer = try await RawHTTP.ask(node, request)
                // llhttp knows the registered methods only.
                check(answer, method == "FOO" ? "400" : "405", ends: true, request)
                if method != "FOO" {
                    #expect(answer.text.lowercased().contains("\r\nallow: get, head\r\n"), "\(answer.text)")
                }
            }
            let head = try await RawHTTP.ask(node, "HEAD \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            check(head, path == "/ws" ? "426" : "200", ends: true, path)
            #expect(head.text.hasSuffix("\r\n\r\n"), "\(head.text)")
        }
        let nowhere = try await RawHTTP.ask(node, "POST /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        check(nowhere, "404", ends: true, "nowhere")
        await node.kill()
    }
}
