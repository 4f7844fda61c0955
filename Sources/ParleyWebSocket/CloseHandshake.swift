/// Decides how a connection ends: who says what, what is reported, and when TCP goes. Reports exactly one
/// end.
struct CloseHandshake {
    enum Phase: Equatable {
        case open
        /// Our close frame is on its way, the peer's is awaited. Nothing is sent or delivered any more.
        case awaitingPeer
        /// The end is reported; what is left is to end TCP so that the peer reads our last frame.
        case over
    }

    enum Action: Equatable {
        case none
        /// Send this, and wait for the answer for a bounded time.
        case say(CloseFrame)
        /// Report the end; send the frame if there is one; then end TCP gently.
        case finish(say: CloseFrame?, WebSocketEnd)
        /// Report the end if there is one, and end TCP at once.
        case drop(WebSocketEnd?)
    }

    private(set) var phase = Phase.open

    /// The server wants to end it.
    mutating func close(_ frame: CloseFrame) -> Action {
        switch phase {
        case .open:
            phase = .awaitingPeer
            return .say(frame)
        case .awaitingPeer, .over:
            return .none
        }
    }

    mutating func received(_ frame: CloseFrame) -> Action {
        switch phase {
        case .open:
            phase = .over
            let end = WebSocketEnd(peerCode: frame.code, startedBy: .peer, cause: .closeFrames)
            return .finish(say: CloseFrame(code: frame.code), end)
        case .awaitingPeer:
            phase = .over
            return .finish(
                say: nil, WebSocketEnd(peerCode: frame.code, startedBy: .server, cause: .closeFrames))
        case .over:
            return .none
        }
    }

    mutating func violated(_ violation: WebSocketViolation) -> Action {
        let end = WebSocketEnd(peerCode: nil, startedBy: .server, cause: .violation(violation))
        switch phase {
        case .open:
            phase = .over
            return .finish(say: CloseFrame(violation), end)
        case .awaitingPeer:
            phase = .over
            return .finish(say: nil, end)
        case .over:
            return .none
        }
    }

    mutating func fellSilent() -> Action {
        switch phase {
        case .open:
            phase = .over
            return .drop(WebSocketEnd(peerCode: nil, startedBy: .server, cause: .silence))
        case .awaitingPeer, .over:
            return .none
        }
    }

    /// The wait for the peer's close frame, or for its end of TCP, has lasted long enough.
    mutating func timedOut() -> Action {
        switch phase {
        case .open:
            return .none
        case .awaitingPeer:
            phase = .over
            return .drop(WebSocketEnd(peerCode: nil, startedBy: .server, cause: .closeTimeout))
        case .over:
            return .drop(nil)
        }
    }

    /// The peer ended TCP, wholly or its half, or an error did.
    mutating func lost() -> Action {
        switch phase {
        case .open:
            phase = .over
            return .drop(WebSocketEnd(peerCode: nil, startedBy: .peer, cause: .connectionLost))
        case .awaitingPeer:
            phase = .over
            return .drop(WebSocketEnd(peerCode: nil, startedBy: .server, cause: .connectionLost))
        case .over:
            return .drop(nil)
        }
    }
}
