import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOPosix
import Testing

@testable import ParleyWebSocket

struct WebSocketUpgraderTests {
    private static let configuration = WebSocketConfiguration(messageBytesMax: 1 << 20)

    private static func upgrader() -> WebSocketUpgrader<String, String> {
        WebSocketUpgrader(
            configuration: configuration,
            accept: { head, handshake, _ in
                switch head.uri {
                case "/private": .refuse(WebSocketHandshake.Refusal(status: .forbidden, headers: ["x-why": "no"]))
                case "/odd": .accept(head.uri, subprotocol: "not-offered")
                default: .accept(head.uri, subprotocol: handshake.subprotocols.last, headers: ["x-node": "n1"])
                }
            },
            delegate: { EchoWithName(name: $0) },
            result: { _ in "upgraded" })
    }

    private static func request(
        _ line: String = "GET /room HTTP/1.1", without dropped: String? = nil, with added: [String] = []
    ) -> String {
        let headers = [
            "Host: x", "Upgrade: WebSocket", "Connection: keep-alive, Upgrade", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ].filter { header in dropped.map { !header.hasPrefix($0) } ?? true }
        return ([line] + headers + added).joined(separator: "\r\n") + "\r\n\r\n"
    }

    /// What the server says to a request and the frames glued to it.
    private func answer(to request: String, frames: [UInt8] = []) throws -> (text: String, isOpen: Bool) {
        let channel = EmbeddedChannel()
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        _ = try channel.pipeline.syncOperations.configureUpgradableHTTPServerPipeline(
            configuration: NIOUpgradableHTTPServerPipelineConfiguration(
                upgradeConfiguration: NIOTypedHTTPServerUpgradeConfiguration(
                    upgraders: [Self.upgrader()],
                    notUpgradingCompletionHandler: { $0.eventLoop.makeSucceededFuture("not upgraded") })))
        // Throws when the connection ends within a request; what the server did is judged by its answer.
        _ = try? channel.writeInbound(ByteBuffer(bytes: Array(request.utf8) + frames))
        channel.embeddedEventLoop.run()
        var answer = ByteBuffer()
        while var part = try channel.readOutbound(as: ByteBuffer.self) { answer.writeBuffer(&part) }
        let isOpen = channel.isActive
        _ = try? channel.finish(acceptAlreadyClosed: true)
        return (String(buffer: answer), isOpen)
    }

    @Test("the RFC's key gets the RFC's answer, with the chosen subprotocol and headers")
    func accepts() throws {
        let answer = try answer(to: Self.request(with: ["Sec-WebSocket-Protocol: v1, v2"]))
        #expect(answer.text.hasPrefix("HTTP/1.1 101 "))
        #expect(answer.text.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
        #expect(answer.text.contains("sec-websocket-protocol: v2\r\n"))
        #expect(answer.text.contains("x-node: n1\r\n"))
        #expect(answer.isOpen)
    }

    @Test("a subprotocol that was not offered is not named")
    func oddSubprotocol() throws {
        let answer = try answer(to: Self.request("GET /odd HTTP/1.1"))
        #expect(answer.text.hasPrefix("HTTP/1.1 101 "))
        #expect(!answer.text.contains("sec-websocket-protocol"))
    }

    @Test("frames glued to the request are not lost")
    func glued() throws {
        let answer = try answer(to: Self.request(), frames: clientText("hi") + clientText("ho"))
        let frames = String(decoding: textFrame("/room hi") + textFrame("/room ho"), as: UTF8.self)
        #expect(answer.text.hasSuffix("\r\n\r\n" + frames))
    }

    @Test(
        "a wrong handshake gets its status and the end of the connection",
        arguments: [
            (request(without: "Sec-WebSocket-Version"), 426),
            (request(without: "Sec-WebSocket-Version", with: ["Sec-WebSocket-Version: 8"]), 426),
            (request(without: "Sec-WebSocket-Key"), 400),
            (request(without: "Sec-WebSocket-Key", with: ["Sec-WebSocket-Key: c2hvcnQ="]), 400),
            (request(without: "Sec-WebSocket-Key", with: ["Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="]), 400),
            (request(with: ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]), 400),
            (request(without: "Connection"), 400), (request(without: "Host"), 400),
            (request(with: ["Content-Length: 3"]), 400), (request("POST /room HTTP/1.1"), 405),
            (request("GET /room HTTP/1.0"), 400), (request("GET /private HTTP/1.1"), 403),
        ])
    func refuses(request: String, status: Int) throws {
        let answer = try answer(to: request)
        #expect(answer.text.hasPrefix("HTTP/1.1 \(status) "), "\(answer.text)")
        #expect(answer.text.contains("connection: close\r\n"))
        #expect(!answer.isOpen)
        if status == 426 { #expect(answer.text.contains("sec-websocket-version: 13\r\n")) }
        if status == 403 { #expect(answer.text.contains("x-why: no\r\n")) }
    }

    @Test("over real sockets, with half-closure allowed: a long echo, a clean close, and a client that ends its half")
    func realSockets() async throws {
        let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    _ = try channel.pipeline.syncOperations.configureUpgradableHTTPServerPipeline(
                        configuration: NIOUpgradableHTTPServerPipelineConfiguration(
                            upgradeConfiguration: NIOTypedHTTPServerUpgradeConfiguration(
                                upgraders: [Self.upgrader()],
                                notUpgradingCompletionHandler: { $0.eventLoop.makeSucceededFuture("plain") })))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)

        let long = String(repeating: "ä", count: 100_000)
        let frames = clientText(long) + clientFrame(9, [7]) + clientClose(1000)
        let expected =
            Self.bytes(WebSocketFrame.text(Array("/room \(long)".utf8))) + [0x8A, 1, 7] + closeFrame(1000)
        let answer = try await Self.exchange(port: port, Array(Self.request().utf8) + frames, endsOutput: false)
        let isEchoed = answer.hasSuffix(expected)
        #expect(isEchoed, "\(answer.count) bytes, the last of them \(answer.suffix(12))")

        let cut = try await Self.exchange(port: port, Array(Self.request().utf8) + clientText("x"), endsOutput: true)
        #expect(cut.hasSuffix(textFrame("/room x")))
        try await server.close()
    }

    private static func bytes(_ buffer: ByteBuffer) -> [UInt8] { Array(buffer.readableBytesView) }

    /// Sends all, and reads until the server ends the connection.
    private static func exchange(port: Int, _ bytes: [UInt8], endsOutput: Bool) async throws -> [UInt8] {
        let client = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                        wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
                }
            }
        return try await client.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(bytes: bytes))
            var all: [UInt8] = []
            var wantsToEnd = endsOutput
            for try await part in inbound {
                all += part.readableBytesView
                // The answer is on its way, so the frame before was read.
                if wantsToEnd, all.hasSuffix(textFrame("/room x")) {
                    outbound.finish()
                    wantsToEnd = false
                }
            }
            return all
        }
    }
}

extension [UInt8] {
    fileprivate func hasSuffix(_ suffix: [UInt8]) -> Bool { self.suffix(suffix.count).elementsEqual(suffix) }
}

private final class EchoWithName: WebSocketDelegate {
    private let name: String
    private var socket: WebSocket?
    init(name: String) { self.name = name }

    func opened(_ socket: WebSocket) { self.socket = socket }
    func received(text: ByteBuffer) { socket?.send(text: ByteBuffer(string: "\(name) \(String(buffer: text))")) }
    func received(binary: ByteBuffer) {}
    func writabilityChanged(isWritable: Bool) {}
    func closed(_ end: WebSocketEnd) { socket = nil }
}
