import NIOCore

/// The payload of a close frame, RFC 6455 section 5.5.1.
public struct CloseFrame: Hashable, Sendable {
    /// Nil when the frame is empty.
    public var code: WebSocketCloseCode?
    public var reason: String

    public init(code: WebSocketCloseCode?, reason: String = "") {
        self.code = code
        self.reason = reason
    }

    init(_ violation: WebSocketViolation) {
        self.init(code: violation.code, reason: violation.reason)
    }

    /// Reads an unmasked payload of at most 125 bytes.
    init(payload: ByteBuffer) throws(WebSocketViolation) {
        var payload = payload
        guard payload.readableBytes > 0 else {
            self.init(code: nil)
            return
        }
        guard let raw: UInt16 = payload.readInteger() else { throw .framing("close payload of one byte") }
        let code = WebSocketCloseCode(rawValue: raw)
        guard code.mayBeSent else { throw .framing("invalid close code") }
        guard let reason = String(validating: payload.readableBytesView, as: UTF8.self) else {
            throw .closeReasonNotUTF8
        }
        self.init(code: code, reason: reason)
    }
}
