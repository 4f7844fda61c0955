import Testing

@testable import ParleyWebSocket

struct CloseHandshakeTests {
    private typealias Step = (inout CloseHandshake) -> CloseHandshake.Action
    private let steps: [Step] = [
        { $0.close(CloseFrame(code: .normal)) }, { $0.received(CloseFrame(code: .goingAway)) },
        { $0.violated(.notUTF8) }, { $0.fellSilent() }, { $0.timedOut() }, { $0.lost() },
    ]

    @Test("whatever happens in whatever order: one end, at most one close frame, and none after the end")
    func anyOrder() {
        func walk(_ handshake: CloseHandshake, depth: Int, frames: Int, ends: Int) {
            #expect(frames <= 1)
            #expect(ends <= 1)
            #expect((ends == 1) == (handshake.phase == .over))
            guard depth > 0 else { return }
            for step in steps {
                var next = handshake
                let (said, ended) =
                    switch step(&next) {
                    case .none: (0, 0)
                    case .say: (1, 0)
                    case .finish(let frame, _): (frame == nil ? 0 : 1, 1)
                    case .drop(let end): (0, end == nil ? 0 : 1)
                    }
                walk(next, depth: depth - 1, frames: frames + said, ends: ends + ended)
            }
        }
        walk(CloseHandshake(), depth: 5, frames: 0, ends: 0)
    }

    @Test("the answer to a close has its code and not its reason")
    func answer() {
        var handshake = CloseHandshake()
        let end = WebSocketEnd(peerCode: .normal, startedBy: .peer, cause: .closeFrames)
        #expect(
            handshake.received(CloseFrame(code: .normal, reason: "bye"))
                == .finish(say: CloseFrame(code: .normal), end))
    }

    @Test("both sides close at once: clean, begun by the server")
    func crossing() {
        var handshake = CloseHandshake()
        _ = handshake.close(CloseFrame(code: .goingAway))
        let end = WebSocketEnd(peerCode: .normal, startedBy: .server, cause: .closeFrames)
        #expect(handshake.received(CloseFrame(code: .normal)) == .finish(say: nil, end))
    }
}
