/// What a peer did that ends its connection. `reason` travels in the close frame, so it must stay under 124
/// bytes.
public struct WebSocketViolation: Error, Hashable, Sendable {
    public let code: WebSocketCloseCode
    public let reason: String

    static func framing(_ reason: String) -> WebSocketViolation {
        WebSocketViolation(code: .protocolError, reason: reason)
    }
    static let notUTF8 = WebSocketViolation(code: .invalidPayload, reason: "text is not UTF-8")
    static let closeReasonNotUTF8 = WebSocketViolation(
        code: .invalidPayload, reason: "close reason is not UTF-8")
    static let messageTooBig = WebSocketViolation(code: .messageTooBig, reason: "message is too big")
    static let binaryRefused = WebSocketViolation(
        code: .unacceptableData, reason: "binary messages are not accepted")
}
