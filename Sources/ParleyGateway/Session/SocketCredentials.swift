import NIOHTTP1

/// What a client showed when it opened its socket: in the query, or as subprotocols, the one way that browsers have.
struct SocketCredentials: Sendable, Equatable {
    static let subprotocol = "parley.v1"
    private static let sessionPrefix = "session."

    var sessionToken: String?
    /// The client asked for subprotocols and is to be told which one is spoken.
    var asksForSubprotocol: Bool

    init(_ head: HTTPRequestHead) {
        let offers = head.headers[canonicalForm: "sec-websocket-protocol"].map(String.init)
        asksForSubprotocol = offers.contains(Self.subprotocol)
        sessionToken =
            offers.first { $0.hasPrefix(Self.sessionPrefix) }.map { String($0.dropFirst(Self.sessionPrefix.count)) }
            ?? Self.query(of: head.uri)["session"]
    }

    private static func query(of uri: String) -> [Substring: String] {
        guard let mark = uri.firstIndex(of: "?") else { return [:] }
        var values: [Substring: String] = [:]
        for pair in uri[uri.index(after: mark)...].split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else { continue }
            values[parts[0]] = String(parts[1])
        }
        return values
    }
}
