import HTTPTypes
import NIOCore

/// Who may see the console: it tells the ids of rooms, and who knows a room's id can join it.
package enum ConsoleAccess: Sendable {
    case nobody
    /// Programs on the node's own machine that speak to the node itself.
    case thisMachine
    /// Whoever reaches the node.
    case everybody

    func allows(_ peer: SocketAddress?, _ head: HTTPRequest) -> Bool {
        switch self {
        case .nobody: false
        case .everybody: true
        case .thisMachine:
            peer.map(Self.isLoopback) ?? false && !Self.passesSomethingOn(head)
                && Self.names(thisMachine: head.authority ?? "")
        }
    }

    private static func isLoopback(_ address: SocketAddress) -> Bool {
        switch address {
        case .v4, .v6:
            let text = address.ipAddress ?? ""
            return text == "::1" || text.hasPrefix("127.") || text.hasPrefix("::ffff:127.")
        case .unixDomainSocket: return true
        }
    }

    /// A load balancer on this machine speaks for somebody elsewhere.
    private static func passesSomethingOn(_ head: HTTPRequest) -> Bool {
        head.headerFields.contains { field in
            let name = field.name.canonicalName
            return name == "forwarded" || name == "via" || name.hasPrefix("x-forwarded-")
        }
    }

    /// A foreign page could let its own name mean this machine, and read what its visitor's browser may.
    private static func names(thisMachine authority: String) -> Bool {
        let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
        return host == "localhost" || host == "[::1]" || (SocketAddress.isIPv4(host) && host.hasPrefix("127."))
    }
}

extension SocketAddress {
    fileprivate static func isIPv4(_ text: some StringProtocol) -> Bool {
        guard case .v4 = try? SocketAddress(ipAddress: String(text), port: 0) else { return false }
        return true
    }
}
