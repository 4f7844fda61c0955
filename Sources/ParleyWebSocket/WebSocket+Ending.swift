import NIOCore

extension WebSocket {
    /// TCP has ended, or the peer's half of it, or it is of no use.
    func lost() {
        perform(handshake.lost())
    }

    /// The handler has left the pipeline. No more comes after this.
    func removed() {
        lost()
        cancelTimer()
        context = nil
    }

    func perform(_ action: CloseHandshake.Action) {
        switch action {
        case .none: break
        case .say(let frame):
            sendLast(frame)
            setTimer(eventLoop.now + configuration.closeTimeout)
            // The peer's answer must be read, whatever the delegate has paused.
            resumeReading()
        case .finish(let frame, let end):
            report(end)
            if let frame { sendLast(frame) }
            setTimer(eventLoop.now + configuration.closeTimeout)
            endOutputAfterLastFrame()
        case .drop(let end):
            if let end { report(end) }
            cancelTimer()
            context?.close(promise: nil)
        }
    }

    private func report(_ end: WebSocketEnd) {
        guard let delegate else { return }
        self.delegate = nil
        decoder = FrameDecoder()
        assembler = MessageAssembler(messageBytesMax: 0, acceptsBinary: false)
        // Later, so that it never comes in the middle of the delegate's own call to the socket: a write can
        // fail in there.
        eventLoop.assumeIsolated().execute { delegate.closed(end) }
    }

    private func sendLast(_ frame: CloseFrame) {
        guard let context else { return }
        sendOwedPong()
        let sent = context.eventLoop.makePromise(of: Void.self)
        closeFrameSent = sent.futureResult
        context.writeAndFlush(
            WebSocketHandler.wrapOutboundOut(WebSocketFrame.close(frame)), promise: sent)
    }

    /// Ends our half of TCP when the last frame has left, and goes on reading, into nothing, until the peer
    /// ends its half or `closeTimeout` is over. Closing it all at once would make the kernel send a reset if
    /// anything unread had arrived, and a reset can take our close frame from the peer before it was read.
    private func endOutputAfterLastFrame() {
        guard let closeFrameSent else { return }
        closeFrameSent.assumeIsolated().whenComplete { [self] _ in
            guard let context else { return }
            let ended = context.eventLoop.makePromise(of: Void.self)
            ended.futureResult.assumeIsolated().whenFailure { [self] _ in lost() }
            context.close(mode: .output, promise: ended)
        }
        if isReadingPaused { resumeReading() }
    }
}
