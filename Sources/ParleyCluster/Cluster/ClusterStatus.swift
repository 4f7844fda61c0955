/// What runs of a cluster, as people read it.
public struct ClusterStatus: Sendable, Equatable {
    public enum State: String, Sendable, Equatable {
        case ready
        case notReady = "not ready"
        case down
    }

    public struct Part: Sendable, Equatable {
        public var name: String
        public var pid: Int32?
        public var port: UInt16?
        public var state: State
        public var uptime: Duration?
        public var log: String

        public init(
            name: String, pid: Int32? = nil, port: UInt16?, state: State, uptime: Duration? = nil, log: String = ""
        ) {
            self.name = name
            self.pid = pid
            self.port = port
            self.state = state
            self.uptime = uptime
            self.log = log
        }
    }

    /// In the order in which a message meets them.
    public var parts: [Part]

    public var isAllReady: Bool { parts.allSatisfy { $0.state == .ready } }

    /// Aligned columns, a line for each part.
    public var table: String {
        let head = ["", "pid", "port", "state", "up", "log"]
        let rows = parts.map { part in
            [
                part.name, part.pid.map(String.init) ?? "-", part.port.map(String.init) ?? "-", part.state.rawValue,
                part.uptime.map(Self.text) ?? "-", part.log,
            ]
        }
        let widths = head.indices.map { column in ([head] + rows).map { $0[column].count }.max() ?? 0 }
        return ([head] + rows).map { row in
            let cells = row.indices.map { row[$0] + String(repeating: " ", count: widths[$0] - row[$0].count) }
            var line = cells.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            return line
        }.joined(separator: "\n")
    }

    /// `45 s`, `12 min`, `3 h 20 min`, `5 d 1 h`.
    static func text(_ uptime: Duration) -> String {
        let seconds = uptime.components.seconds
        let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400)
        if minutes == 0 { return "\(seconds) s" }
        if hours == 0 { return "\(minutes) min" }
        if days == 0 { return "\(hours) h \(minutes % 60) min" }
        return "\(days) d \(hours % 24) h"
    }
}
