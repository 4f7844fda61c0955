internal import CLibpq

/// A libpq connection URI or keyword string, and the hosts that it names.
struct ConnectionURL: Sendable {
    /// As given: it holds the password.
    private let text: String
    private let keywords: [String: String]
    /// By how many places the lists of hosts are turned.
    private var turned = 0

    /// nil when libpq cannot read it.
    init?(_ text: String) {
        guard let options = PQconninfoParse(text, nil) else { return nil }
        defer { PQconninfoFree(options) }
        var keywords: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { keywords[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        self.text = text
        self.keywords = keywords
    }

    /// Why libpq cannot read a text. It quotes parts of it, which could be those of a password: they are left out,
    /// except for single characters and, where no password is, names.
    static func problem(_ text: String) -> String {
        var message: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(text, &message) else {
            defer { PQfreemem(message) }
            let line = message.map { String(cString: $0).inOneLine } ?? "out of memory"
            let mayHoldPassword = text.contains("pass") || text.contains("@")
            let parts = line.split(separator: "\"", omittingEmptySubsequences: false)
            return parts.enumerated().map { place, part in
                let isQuoted = place % 2 == 1
                let isName = part.utf8.count <= 32 && part.utf8.allSatisfy { $0 == 95 || (97...122).contains($0) }
                return !isQuoted || part.count == 1 || (isName && !mayHoldPassword) ? String(part) : "…"
            }.joined(separator: "\"")
        }
        PQconninfoFree(options)
        return "it can be read"
    }

    /// Without the password, for logs.
    var masked: String {
        let user = keywords["user"].map { "\($0)@" } ?? ""
        let service = keywords["service"].map { "service \($0) " } ?? ""
        let hosts = keywords["host"] ?? keywords["hostaddr"] ?? ""
        let port = keywords["port"].map { ":\($0)" } ?? ""
        let database = keywords["dbname"] ?? ""
        return "\(service)postgresql://\(user)\(hosts)\(port)/\(database)"
    }

    /// The next attempt begins with the host after `host`. libpq goes on to the next host when one refuses, but not
    /// when it says nothing until the time for all of them is up.
    mutating func turn(past host: String) {
        let names = lists.first ?? []
        guard names.count > 1, let place = names.firstIndex(of: host) else { return }
        turned = (place + 1) % names.count
    }

    /// Keywords and values for `PQconnectStartParams` with `expand_dbname`: what comes before the URL is a default,
    /// what comes after it goes first.
    func parameters(role: String, settings: ConnectionSettings) -> [(String, String)] {
        var parameters = [
            ("fallback_application_name", "parley/\(role)"),
            ("keepalives_idle", "\(settings.keepalivesIdle)"),
            ("keepalives_interval", "\(settings.keepalivesInterval)"),
            ("keepalives_count", "\(settings.keepalivesCount)"),
            ("tcp_user_timeout", "\(settings.tcpUserTimeout.wholeMilliseconds)"),
            ("dbname", text),
            ("client_encoding", "UTF8"),
        ]
        guard turned > 0 else { return parameters }
        for keyword in Self.listKeywords {
            guard let value = keywords[keyword] else { continue }
            let list = Self.split(value)
            // A single port is for all hosts.
            guard list.count > 1 else { continue }
            parameters.append((keyword, (list[turned...] + list[..<turned]).joined(separator: ",")))
        }
        return parameters
    }

    private static let listKeywords = ["host", "hostaddr", "port"]

    private var lists: [[String]] { ["host", "hostaddr"].compactMap { keywords[$0].map(Self.split) } }

    private static func split(_ list: String) -> [String] {
        list.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
}

extension Duration {
    var wholeMilliseconds: Int64 { components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000 }

    var milliseconds: Double { self / .milliseconds(1) }
}
