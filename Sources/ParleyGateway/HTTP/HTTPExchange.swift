import NIOCore
import NIOHTTP1

/// Where one HTTP connection stands: one exchange after the other, and how long its client may take for its part of each.
struct HTTPExchange: Equatable {
    /// What the client is to do next.
    enum Wait: Equatable {
        /// Send the first request's head, from the moment of the connection.
        case head
        /// Send the rest of a request.
        case body
        /// Send the next request's head, on a connection that is kept.
        case next
        /// Take the last answer and end its direction, as the server has ended its own: a socket that is closed with bytes
        /// unread takes the answer with it.
        case end

        var timeMax: TimeAmount {
            switch self {
            case .head, .body: .seconds(10)
            case .next: .seconds(60)
            case .end: .seconds(2)
            }
        }
    }

    private enum Stage: Equatable {
        case opened
        case request(isKept: Bool, isRead: Bool, answer: Answer)
        case kept
        case ending
    }

    private enum Answer: Equatable { case none, begun, done }

    private var stage = Stage.opened

    /// nil while it is the node's turn.
    var wait: Wait? {
        switch stage {
        case .opened: .head
        case .request(_, isRead: false, _): .body
        case .request(_, isRead: true, _): nil
        case .kept: .next
        case .ending: .end
        }
    }

    /// What comes in, and what the application says, does not count any more.
    var isEnding: Bool { stage == .ending }

    /// The connection goes on after the answer.
    var isKept: Bool {
        guard case .request(let isKept, _, _) = stage else { return false }
        return isKept
    }

    /// False when the head is not one to be answered, but with 400.
    mutating func began(_ head: HTTPRequestHead) -> Bool {
        let hosts = head.headers["host"].count
        let isModern = head.version.minor >= 1
        // An HTTP/1.0 client that wants to keep the connection would have to be told so; none is left that matters.
        stage = .request(isKept: isModern && head.isKeepAlive, isRead: false, answer: .none)
        return head.version.major == 1 && (isModern ? hosts == 1 : hosts <= 1)
    }

    mutating func requestEnded() {
        guard case .request(let isKept, _, let answer) = stage else { return }
        stage = .request(isKept: isKept, isRead: true, answer: answer)
        rest()
    }

    mutating func answerBegan() {
        guard case .request(let isKept, let isRead, .none) = stage else { return }
        stage = .request(isKept: isKept, isRead: isRead, answer: .begun)
    }

    mutating func answerEnded() {
        guard case .request(let isKept, let isRead, _) = stage else { return }
        stage = isKept ? .request(isKept: true, isRead: isRead, answer: .done) : .ending
        rest()
    }

    /// The client does not keep to HTTP. Returns whether that can still be said to it: not within another answer.
    mutating func failed() -> Bool {
        defer { stage = .ending }
        switch stage {
        case .opened, .kept, .request(_, _, answer: .none): return true
        case .request, .ending: return false
        }
    }

    private mutating func rest() {
        if case .request(isKept: true, isRead: true, answer: .done) = stage { stage = .kept }
    }
}
