public import NIOHTTP1

/// A client's opening handshake, RFC 6455 section 4.2.1, checked for everything but what the application
/// decides.
public struct WebSocketHandshake: Sendable {
    /// An answer that is not 101.
    public struct Refusal: Error, Equatable, Sendable {
        public var status: HTTPResponseStatus
        public var headers: HTTPHeaders

        public init(status: HTTPResponseStatus, headers: HTTPHeaders = [:]) {
            self.status = status
            self.headers = headers
        }
    }

    /// RFC 6455 section 1.3.
    private static let acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    private static let version = "13"

    /// What the client offers, as it prefers them.
    public let subprotocols: [String]
    /// The value of `Sec-WebSocket-Accept`.
    let acceptance: String

    public init(_ head: HTTPRequestHead) throws(Refusal) {
        let headers = head.headers
        guard head.method == .GET else {
            throw Refusal(status: .methodNotAllowed, headers: ["allow": "GET"])
        }
        guard head.version == .http1_1,
            WebSocketHandshake.names("websocket", in: headers["upgrade"]),
            WebSocketHandshake.names("upgrade", in: headers["connection"]),
            headers.contains(name: "host"),
            // A handshake has no body, and one would be taken for frames.
            !headers.contains(name: "transfer-encoding"), headers["content-length"].allSatisfy({ $0 == "0" })
        else { throw Refusal(status: .badRequest) }
        guard headers["sec-websocket-version"] == [WebSocketHandshake.version] else {
            throw Refusal(
                status: .upgradeRequired,
                headers: ["sec-websocket-version": WebSocketHandshake.version, "upgrade": "websocket"])
        }
        let keys = headers["sec-websocket-key"]
        guard keys.count == 1, let key = keys.first, Base64.isSixteenBytes(key) else {
            throw Refusal(status: .badRequest)
        }
        acceptance = Base64.encode(SHA1.digest(of: (key + WebSocketHandshake.acceptSuffix).utf8))
        subprotocols = headers[canonicalForm: "sec-websocket-protocol"].map(String.init)
    }

    private static func names(_ token: String, in values: [String]) -> Bool {
        values.contains { value in
            value.split(separator: ",").contains { item in
                item.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }.lowercased() == token
            }
        }
    }
}
