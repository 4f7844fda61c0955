import Foundation
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import ParleyGateway

struct HTTPConnectionTests {
    private let channel: EmbeddedChannel

    init() throws {
        channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: false)
        try channel.pipeline.syncOperations.addHandler(HTTPConnectionHandler())
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    private func send(_ text: String) throws { try channel.writeInbound(ByteBuffer(string: text)) }

    private func answer() throws {
        channel.write(HTTPServerResponsePart.head(.init(version: .http1_1, status: .ok)), promise: nil)
        channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
    }

    /// Open for just less than `time`, and closed then.
    private func expectEnd(after time: TimeAmount) {
        channel.embeddedEventLoop.advanceTime(by: time - .milliseconds(1))
        #expect(channel.isActive)
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
        #expect(!channel.isActive)
    }

    @Test("a connection that never sends a request ends, and one that sends half of one, however slowly")
    func head() throws {
        for piece in ["GET / HT", "TP/1.1\r\n", "Host: x\r\n"] {
            try send(piece)
            channel.embeddedEventLoop.advanceTime(by: .seconds(3))
            #expect(channel.isActive)
        }
        expectEnd(after: .seconds(1))
    }

    @Test("a request's head that came late leaves time for the rest, which has a bound too")
    func body() throws {
        channel.embeddedEventLoop.advanceTime(by: .seconds(9))
        try send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        channel.embeddedEventLoop.advanceTime(by: .seconds(5))
        try send("some")
        try answer()
        expectEnd(after: .seconds(5))
    }

    @Test(
        "while the node works on an answer nothing ends; a connection that is kept then has its time for the next one")
    func kept() throws {
        for _ in 0..<2 {
            try send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            channel.embeddedEventLoop.advanceTime(by: .hours(1))
            try answer()
            channel.embeddedEventLoop.advanceTime(by: .seconds(59))
        }
        expectEnd(after: .seconds(1))
    }

    @Test("the last answer says that it is, and nothing is answered behind it")
    func last() throws {
        try send("GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n")
        try answer()
        try answer()
        var text = ""
        while let part = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: part) }
        #expect(text.components(separatedBy: "HTTP/1.1 200 ").count == 2)
        #expect(text.contains("connection: close\r\n"))
        // An embedded channel has no half that could stay open.
        #expect(!channel.isActive)
    }

    @Test("behind its last answer a client has a bounded time to end its direction")
    func linger() {
        var exchange = HTTPExchange()
        _ = exchange.began(HTTPRequestHead(version: .http1_0, method: .GET, uri: "/"))
        exchange.requestEnded()
        #expect(exchange.wait == nil)
        exchange.answerBegan()
        exchange.answerEnded()
        #expect(exchange.isEnding && exchange.wait == .end)
    }

    @Test(
        "the form of a request that names a host becomes the one that does not",
        arguments: [
            ("http://x/ws", "/ws"), ("ws://x:1/ws?a=b", "/ws?a=b"), ("HTTP://x", "/"), ("http://x?a=/b", "/?a=/b"),
            ("/http://x/", "/http://x/"), ("/ws?to=http://x/y", "/ws?to=http://x/y"), ("*", "*"), ("x:80", "x:80"),
            ("ftp://x/ws", "ftp://x/ws"),
        ])
    func originForm(given: String, expected: String) {
        #expect(HTTPConnectionHandler.originForm(of: given) == expected)
    }
}
