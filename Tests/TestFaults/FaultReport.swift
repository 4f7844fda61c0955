import Foundation

/// What became of a run.
public struct FaultReport: Sendable {
    public var seed: UInt64
    public var faults: [String: Int] = [:]
    public var clients = 0
    public var messages = 0
    public var seconds = 0.0
    public var compared = 0
    public var resets = 0
    public var lostSockets = 0
    /// How often a member was told that another one left.
    public var departures = 0
    /// From a node's SIGKILL until each of its clients had news of its room again, milliseconds, ascending.
    public var backAfterKill: [Double] = []
    /// From the last fault's end until everything was settled and known to everybody.
    public var settledAfter = 0.0
    public var violations: [String] = []
    /// Where the evidence is, when there are violations.
    public var evidence: String?

    /// Violations that the summary shows; the folder has all.
    private static let shownMax = 40

    public var summary: String {
        let kinds = faults.sorted { $0.key < $1.key }.map { "  \($0.value) \($0.key)" }
        let rate = Int(Double(messages) / max(0.001, seconds))
        var lines = ["seed \(seed)", "\(faults.values.reduce(0, +)) faults:"] + kinds
        lines += [
            "\(messages) messages of \(clients) clients, \(rate) a second for \(Int(seconds)) s; \(compared) deliveries compared",
            "\(lostSockets) sockets lost, \(resets) resets, \(departures) times told that a member left",
            "back after a node was killed: \(percentiles)",
            String(format: "all settled %.1f s after the last fault", settledAfter),
            "\(violations.count) violations",
        ]
        lines += violations.prefix(Self.shownMax).map { "  \($0)" }
        if violations.count > Self.shownMax { lines.append("  …") }
        if let evidence { lines.append("logs and records: \(evidence)") }
        return lines.joined(separator: "\n")
    }

    private var percentiles: String {
        guard !backAfterKill.isEmpty else { return "no client was on one" }
        func at(_ part: Double) -> Int { Int(backAfterKill[Int(part * Double(backAfterKill.count - 1))]) }
        return "p50 \(at(0.5)) ms, p99 \(at(0.99)) ms, at most \(at(1)) ms, of \(backAfterKill.count) clients"
    }
}
