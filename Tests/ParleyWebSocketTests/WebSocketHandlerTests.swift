import NIOCore
import NIOEmbedded
import Testing

@testable import ParleyWebSocket

struct WebSocketHandlerTests {
    @Test("messages are delivered in order, binary as binary")
    func delivers() throws {
        let harness = try HandlerHarness()
        try harness.receive(clientText("one") + clientFrame(2, [1, 2]) + clientText("twö"))
        #expect(harness.delegate.events == [.opened, .text("one"), .binary([1, 2]), .text("twö")])
    }

    @Test("answers within a read burst leave in one flush, others at once, a batch in one")
    func flushes() throws {
        let harness = try HandlerHarness()
        harness.delegate.onText = { socket, text in socket.send(text: ByteBuffer(string: text)) }
        try harness.receive(clientText("a") + clientText("b") + clientText("c"))
        #expect(harness.probe.flushes == 1)
        #expect(try harness.sent() == [textFrame("a"), textFrame("b"), textFrame("c")])

        let frame = WebSocketFrame.text(Array("x".utf8))
        try harness.socket.send(frame: frame)
        try harness.socket.send(frame: frame)
        #expect(harness.probe.flushes == 3)
        let socket = try harness.socket
        socket.batch {
            socket.send(frame: frame)
            socket.batch { socket.send(frame: frame) }
            #expect(socket.bufferedBytes == 6)
        }
        #expect(harness.probe.flushes == 4)
        socket.batch {}
        #expect(harness.probe.flushes == 4)
        #expect(try harness.sent().count == 4)
    }

    @Test("short and long payloads are framed alike", arguments: [0, 4096, 4097, 70_000])
    func payloadSizes(size: Int) throws {
        let harness = try HandlerHarness()
        let payload = [UInt8](repeating: 0x61, count: size)
        try harness.socket.send(text: ByteBuffer(bytes: payload))
        try harness.socket.send(binary: ByteBuffer(bytes: payload))
        let sent = try harness.sent()
        #expect(sent.map(\.first) == [0x81, 0x82])
        #expect(sent.map { Array($0.suffix(size)) } == [payload, payload])
        #expect(harness.probe.flushes == 2)
    }

    @Test("a ping is answered with its payload, a pong with nothing")
    func pings() throws {
        let harness = try HandlerHarness()
        try harness.receive(clientFrame(9, [1, 2, 3]) + clientFrame(10, [4]) + clientFrame(9, []))
        #expect(try harness.sent() == [[0x8A, 3, 1, 2, 3], [0x8A, 0]])
    }

    @Test("of the pings that come while nothing can be written only the newest is answered, later")
    func owedPong() throws {
        let harness = try HandlerHarness()
        harness.setWritable(false)
        try harness.receive(clientFrame(9, [1]) + clientFrame(9, [2]))
        #expect(try harness.sent() == [])
        harness.setWritable(true)
        #expect(try harness.sent() == [[0x8A, 1, 2]])
        #expect(harness.delegate.events == [.opened, .writable(false), .writable(true)])
    }

    @Test("an owed pong goes before a close frame")
    func owedPongBeforeClose() throws {
        let harness = try HandlerHarness()
        harness.setWritable(false)
        try harness.receive(clientFrame(9, [1]) + clientClose(1000))
        #expect(try harness.sent() == [[0x8A, 1, 1], closeFrame(1000)])
    }

    @Test("binary is refused with 1003 if the configuration says so")
    func binaryRefused() throws {
        let harness = try HandlerHarness(WebSocketConfiguration(acceptsBinary: false))
        try harness.receive(clientFrame(2, [1]))
        #expect(try harness.sent().map { Array($0[2..<4]) } == [[0x03, 0xEB]])
        #expect(harness.delegate.ends.map(\.cause) == [.violation(.binaryRefused)])
    }

    // MARK: - Pausing

    @Test("a pause holds back messages that have arrived, and the channel's reads, until it ends")
    func pauses() throws {
        let harness = try HandlerHarness()
        harness.delegate.onText = { socket, text in if text == "stop" { socket.pauseReading() } }
        try harness.receive(clientText("stop") + clientText("b") + clientText("stop"))
        #expect(harness.delegate.events == [.opened, .text("stop")])
        let reads = harness.probe.reads
        harness.channel.read()
        try harness.receive(clientText("c"))
        #expect(harness.probe.reads == reads)
        #expect(harness.delegate.events == [.opened, .text("stop")])

        try harness.socket.resumeReading()
        #expect(harness.delegate.events == [.opened, .text("stop"), .text("b"), .text("stop")])
        #expect(harness.probe.reads == reads)
        try harness.socket.resumeReading()
        #expect(harness.delegate.events.last == .text("c"))
        #expect(harness.probe.reads == reads + 1)
    }

    @Test("long input during a pause is kept whole")
    func longPause() throws {
        let harness = try HandlerHarness()
        try harness.socket.pauseReading()
        let messages = (0..<2000).map { "message \($0)" }
        for piece in messages.flatMap({ clientText($0) }).split(by: 37) { try harness.receive(piece) }
        #expect(harness.delegate.events == [.opened])
        try harness.socket.resumeReading()
        #expect(harness.delegate.events == [.opened] + messages.map { .text($0) })
    }

    // MARK: - Closing

    @Test(
        "the peer's close is answered with its code and nothing comes after it",
        arguments: [1000, 1001, 4999, nil] as [UInt16?])
    func peerCloses(code: UInt16?) throws {
        let harness = try HandlerHarness()
        try harness.receive(
            clientClose(code, code == nil ? [] : Array("bye".utf8)) + clientText("late") + clientFrame(9, []))
        try harness.receive(clientText("later") + [0xFF, 0xFF])
        try harness.socket.send(text: ByteBuffer(string: "no"))
        #expect(try harness.sent() == [closeFrame(code)])
        let end = WebSocketEnd(
            peerCode: code.map { WebSocketCloseCode(rawValue: $0) }, startedBy: .peer, cause: .closeFrames)
        #expect(harness.delegate.events == [.opened, .closed(end)])
        #expect(end.isClean)
        #expect(harness.probe.isOutputEnded)
        #expect(harness.channel.isActive)
        harness.loseInput()
        #expect(!harness.channel.isActive)
        #expect(harness.delegate.ends.count == 1)
    }

    @Test("a peer that keeps its half of TCP open after the end loses it after closeTimeout")
    func lingers() throws {
        let harness = try HandlerHarness()
        try harness.receive(clientClose(1000))
        harness.advance(by: .milliseconds(2999))
        #expect(harness.channel.isActive)
        harness.advance(by: .milliseconds(1))
        #expect(!harness.channel.isActive)
        #expect(harness.delegate.ends.count == 1)
    }

    @Test("our close discards data, sends nothing more, and is clean when answered")
    func serverCloses() throws {
        let harness = try HandlerHarness()
        let socket = try harness.socket
        socket.send(text: ByteBuffer(string: "last"))
        socket.close(code: .serviceRestart, reason: "restart")
        socket.close(code: .normal)
        socket.send(text: ByteBuffer(string: "no"))
        #expect(!socket.isOpen)
        try harness.receive(clientText("late") + clientFrame(9, [1]))
        #expect(harness.delegate.events == [.opened])
        try harness.receive(clientClose(1012))
        #expect(try harness.sent() == [textFrame("last"), closeFrame(1012, "restart")])
        let end = WebSocketEnd(peerCode: .serviceRestart, startedBy: .server, cause: .closeFrames)
        #expect(harness.delegate.events == [.opened, .closed(end)])
        #expect(harness.probe.isOutputEnded)
    }

    @Test("a close that is not answered ends after closeTimeout")
    func closeTimesOut() throws {
        let harness = try HandlerHarness(WebSocketConfiguration(closeTimeout: .seconds(2)))
        try harness.socket.close(code: .normal)
        harness.advance(by: .milliseconds(1999))
        #expect(harness.delegate.ends == [])
        harness.advance(by: .milliseconds(1))
        #expect(harness.delegate.ends == [WebSocketEnd(peerCode: nil, startedBy: .server, cause: .closeTimeout)])
        #expect(!harness.channel.isActive)
    }

    @Test("closing a paused socket reads on, so that the answer is seen")
    func closeWhilePaused() throws {
        let harness = try HandlerHarness()
        let socket = try harness.socket
        socket.pauseReading()
        try harness.receive(clientText("held"))
        harness.channel.read()
        let reads = harness.probe.reads
        socket.close(code: .goingAway)
        #expect(harness.probe.reads == reads + 1)
        try harness.receive(clientClose(1001))
        #expect(harness.delegate.ends.map(\.isClean) == [true])
        #expect(!harness.delegate.events.contains(.text("held")))
    }

    @Test("closing within a message stops the rest of the burst")
    func closeWithinBurst() throws {
        let harness = try HandlerHarness()
        harness.delegate.onText = { socket, _ in socket.close(code: .policyViolation) }
        try harness.receive(clientText("a") + clientText("b") + clientClose(1008))
        let end = WebSocketEnd(peerCode: .policyViolation, startedBy: .server, cause: .closeFrames)
        #expect(harness.delegate.events == [.opened, .text("a"), .closed(end)])
    }

    @Test("a violation tells the peer its code, then ends our half of TCP", arguments: FramingTests.violations)
    func violation(of rule: FramingTests.Case) throws {
        for size in [1 << 20, 1] {
            let harness = try HandlerHarness(WebSocketConfiguration(messageBytesMax: 1 << 20))
            for piece in (clientText("a") + rule.bytes).split(by: size) { try harness.receive(piece) }
            try harness.receive(clientText("late"))
            let sent = try harness.sent()
            #expect(sent.count == 1)
            #expect(sent.first?.first == 0x88)
            #expect(sent.first?[2..<4] == [UInt8(rule.code.rawValue >> 8), UInt8(rule.code.rawValue & 0xFF)])
            #expect(harness.delegate.events.dropLast() == [.opened, .text("a")])
            let end = try #require(harness.delegate.ends.first)
            #expect(end.peerCode == nil && end.startedBy == .server && !end.isClean)
            guard case .violation(let violation) = end.cause else {
                Issue.record("\(end.cause)")
                return
            }
            #expect(violation.code == rule.code)
            #expect(harness.probe.isOutputEnded)
        }
    }

    @Test("a violation while our close waits ends it without another frame")
    func violationAfterClose() throws {
        let harness = try HandlerHarness()
        try harness.socket.close(code: .normal)
        try harness.receive(clientFrame(3, []))
        #expect(try harness.sent() == [closeFrame(1000)])
        #expect(harness.delegate.ends.map(\.isClean) == [false])
    }

    @Test("our half of TCP stays open until the last frame has left, or closeTimeout is over")
    func lastFrameStuck() throws {
        let harness = try HandlerHarness()
        harness.probe.isStuck = true
        try harness.receive(clientClose(1000))
        #expect(!harness.probe.isOutputEnded)
        harness.advance(by: .seconds(3))
        #expect(!harness.channel.isActive)
    }

    // MARK: - Losing

    @Test("the end of the peer's half of TCP is a lost socket")
    func inputClosed() throws {
        let harness = try HandlerHarness()
        harness.loseInput()
        #expect(harness.delegate.ends == [WebSocketEnd(peerCode: nil, startedBy: .peer, cause: .connectionLost)])
        #expect(!harness.channel.isActive)
    }

    @Test("an error is a lost socket, reported once")
    func error() throws {
        let harness = try HandlerHarness()
        harness.channel.pipeline.fireErrorCaught(ChannelError.ioOnClosedChannel)
        harness.channel.embeddedEventLoop.run()
        #expect(harness.delegate.ends.map(\.cause) == [.connectionLost])
    }

    @Test("a socket lost while our close waits is told as the server's doing")
    func lostWhileClosing() throws {
        let harness = try HandlerHarness()
        try harness.socket.close(code: .normal)
        harness.loseInput()
        #expect(harness.delegate.ends == [WebSocketEnd(peerCode: nil, startedBy: .server, cause: .connectionLost)])
    }

    @Test("the end is never told from within a call to the socket")
    func closedComesLater() throws {
        let harness = try HandlerHarness()
        harness.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(harness.delegate.ends == [])
        harness.channel.embeddedEventLoop.run()
        #expect(harness.delegate.ends.count == 1)
    }

    @Test("a socket and its delegate are freed after the end")
    func freed() throws {
        weak var weakSocket: WebSocket?
        weak var weakDelegate: RecordingDelegate?
        do {
            let harness = try HandlerHarness()
            weakSocket = harness.delegate.socket
            weakDelegate = harness.delegate
            #expect(weakSocket != nil)
            try harness.receive(clientClose(1000))
            harness.advance(by: .seconds(3))
            harness.delegate.socket = nil
            #expect(try harness.channel.finish(acceptAlreadyClosed: true).isClean == false)
        }
        #expect(weakSocket == nil)
        #expect(weakDelegate == nil)
    }

    // MARK: - Silence

    @Test("a silent peer is pinged after 25 s and ended after 10 s more")
    func silence() throws {
        let harness = try HandlerHarness()
        harness.advance(by: .milliseconds(24_999))
        #expect(try harness.sent() == [])
        harness.advance(by: .milliseconds(1))
        #expect(try harness.sent() == [[0x89, 0]])
        harness.advance(by: .milliseconds(9_999))
        #expect(harness.channel.isActive)
        harness.advance(by: .milliseconds(1))
        #expect(harness.delegate.ends == [WebSocketEnd(peerCode: nil, startedBy: .server, cause: .silence)])
        #expect(!harness.channel.isActive)
    }

    @Test("any byte counts as a sign of life, and the next ping comes 25 s after it")
    func signOfLife() throws {
        let harness = try HandlerHarness()
        harness.advance(by: .seconds(20))
        try harness.receive([0x81])
        harness.advance(by: .seconds(24))
        #expect(try harness.sent() == [])
        harness.advance(by: .seconds(1))
        #expect(try harness.sent() == [[0x89, 0]])
        harness.advance(by: .seconds(9))
        try harness.receive([0x80])
        harness.advance(by: .seconds(24))
        #expect(try harness.sent() == [])
        #expect(harness.channel.isActive)
        harness.advance(by: .seconds(1))
        #expect(try harness.sent() == [[0x89, 0]])
    }

    @Test("a peer that is not read is not blamed for it")
    func pausedSilence() throws {
        let harness = try HandlerHarness()
        try harness.socket.pauseReading()
        harness.advance(by: .seconds(200))
        #expect(harness.channel.isActive)
        #expect(try harness.sent() == [])
        try harness.socket.resumeReading()
        harness.advance(by: .seconds(35))
        #expect(!harness.channel.isActive)
    }

    @Test("a peer that is not read and takes nothing of what waits is ended")
    func stuckPeer() throws {
        let harness = try HandlerHarness()
        harness.probe.isStuck = true
        try harness.socket.send(text: ByteBuffer(string: "waits"))
        try harness.socket.pauseReading()
        harness.advance(by: .seconds(34))
        #expect(harness.channel.isActive)
        harness.advance(by: .seconds(1))
        #expect(harness.delegate.ends.map(\.cause) == [.silence])
    }
}
