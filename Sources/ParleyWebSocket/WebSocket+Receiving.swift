import NIOCore

extension WebSocket {
    func open() {
        setTimer(silence.firstLook)
        guard let delegate else { return }
        batch { delegate.opened(self) }
    }

    func arrived(_ bytes: ByteBuffer) {
        switch handshake.phase {
        case .open, .awaitingPeer: break
        case .over: return
        }
        burstBegan()
        silence.heard(at: eventLoop.now)
        decoder.append(bytes)
        deliver()
    }

    /// Takes apart what has arrived until there is no more of it, the delegate wants no more, or the socket
    /// is over. A delegate may pause, resume and close meanwhile.
    func deliver() {
        guard !isDelivering else { return }
        isDelivering = true
        while !isReadingPaused, handshake.phase != .over {
            do {
                guard let part = try decoder.next() else { break }
                guard let message = try assembler.add(part) else { continue }
                deliver(message)
            } catch {
                perform(handshake.violated(error))
            }
        }
        isDelivering = false
    }

    private func deliver(_ message: WebSocketMessage) {
        switch message {
        case .text(let text): if isOpen { delegate?.received(text: text) }
        case .binary(let binary): if isOpen { delegate?.received(binary: binary) }
        case .ping(let payload): answerPing(payload)
        case .pong: break
        case .close(let frame): perform(handshake.received(frame))
        }
    }

    private func answerPing(_ payload: ByteBuffer) {
        guard isOpen else { return }
        if isWritable {
            write(WebSocketFrame.pong(payload))
        } else {
            owedPong = payload
        }
    }

    func sendOwedPong() {
        guard let payload = owedPong else { return }
        owedPong = nil
        write(WebSocketFrame.pong(payload))
    }

    func writabilityChanged() {
        guard isOpen else { return }
        let isWritable = isWritable
        if isWritable { sendOwedPong() }
        delegate?.writabilityChanged(isWritable: isWritable)
    }

    func timerFired() {
        switch handshake.phase {
        case .open: lookForSilence()
        case .awaitingPeer, .over: perform(handshake.timedOut())
        }
    }

    private func lookForSilence() {
        let now = eventLoop.now
        if isReadingPaused {
            // We would not hear the peer. It is alive if it lets the kernel take our bytes; with none
            // waiting, nobody knows.
            let waiting = bufferedBytes
            let taken = bytesWritten - waiting
            if waiting == 0 || taken > bytesTakenAtLastLook { silence.heard(at: now) }
            bytesTakenAtLastLook = taken
        }
        switch silence.look(at: now) {
        case .look(let deadline): setTimer(deadline)
        case .ping(let deadline):
            write(WebSocketFrame.ping())
            setTimer(deadline)
        case .silent: perform(handshake.fellSilent())
        }
    }
}
