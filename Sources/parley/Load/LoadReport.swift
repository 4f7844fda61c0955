import Foundation
import Histogram

/// What a run has measured.
struct LoadReport: Sendable {
    private let plan: LoadPlan
    private let joining: Duration
    private let sent: Int
    private let seconds: Double
    private let latencies: Histogram<UInt32>
    private let errors: Int
    private let closed: Int

    init(plan: LoadPlan, joining: Duration, sent: Int, elapsed: Duration, clients: [LoadClient]) {
        self.plan = plan
        self.joining = joining
        self.sent = sent
        seconds = elapsed / .seconds(1)
        var all = Histogram<UInt32>(highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: .three)
        var (errors, closed) = (0, 0)
        for client in clients {
            let figures = client.figures
            all.add(figures.latencies)
            errors += figures.errors
            closed += figures.isClosed ? 1 : 0
        }
        latencies = all
        (self.errors, self.closed) = (errors, closed)
    }

    private var delivered: Int { Int(latencies.totalCount) }

    var table: String {
        ([
            ReportTable.line("all joined within", "\(Int(joining / .milliseconds(1))) ms"),
            ReportTable.line("messages sent", "\(sent), \(Int(Double(sent) / seconds)) a second"),
            ReportTable.line("deliveries", "\(delivered) of \(sent * plan.deliveries)"),
            ReportTable.line("errors, closed", "\(errors), \(closed)"),
            "from sending to each delivery:",
        ] + ReportTable.percentiles(latencies)).joined(separator: "\n")
    }

    var json: String {
        let values: [(String, String)] = [
            ("rooms", "\(plan.rooms)"), ("members", "\(plan.members)"), ("nodes", "\(plan.nodes.count)"),
            ("joined_ms", "\(Int(joining / .milliseconds(1)))"),
            ("sent", "\(sent)"), ("seconds", String(format: "%.2f", seconds)), ("delivered", "\(delivered)"),
            ("expected", "\(sent * plan.deliveries)"), ("errors", "\(errors)"), ("closed", "\(closed)"),
        ]
        return ReportTable.json(values, latencies)
    }
}

/// Of a `BareRun`.
struct BareReport: Sendable {
    let times: Histogram<UInt32>

    var table: String {
        ([
            ReportTable.line("transactions", "\(times.totalCount)"),
            "from sending to each notification:",
        ] + ReportTable.percentiles(times)).joined(separator: "\n")
    }

    var json: String { ReportTable.json([("sent", "\(times.totalCount)")], times) }
}

/// Of a `StormRun`.
struct StormReport: Sendable {
    let times: Histogram<UInt32>

    var table: String {
        ([
            ReportTable.line("clients", "\(times.totalCount)"),
            "from the death of the node until each is back:",
        ] + ReportTable.percentiles(times)).joined(separator: "\n")
    }

    var json: String { ReportTable.json([("clients", "\(times.totalCount)")], times) }
}

extension SafeguardRun.Report {
    var table: String {
        [
            ReportTable.line("with", "\(Int(with)) messages a second"),
            ReportTable.line("without", "\(Int(without)) messages a second"),
            ReportTable.line("ratio", String(format: "%.3f", share)),
        ].joined(separator: "\n")
    }

    var json: String {
        String(format: "{\"with\":%.0f,\"without\":%.0f,\"ratio\":%.3f}", with, without, share)
    }
}

private enum ReportTable {
    static func line(_ name: String, _ value: String) -> String {
        name.padding(toLength: 22, withPad: " ", startingAt: 0) + value
    }

    static func percentiles(_ times: Histogram<UInt32>) -> [String] {
        [50.0, 90, 99, 99.9, 100].map {
            line("  p\($0.formatted())", String(format: "%.2f ms", milliseconds(times, $0)))
        }
    }

    static func json(_ values: [(String, String)], _ times: Histogram<UInt32>) -> String {
        let percentiles = [("p50_ms", 50.0), ("p99_ms", 99), ("p999_ms", 99.9), ("max_ms", 100)].map {
            ($0, String(format: "%.3f", milliseconds(times, $1)))
        }
        return "{" + (values + percentiles).map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
    }

    private static func milliseconds(_ times: Histogram<UInt32>, _ percentile: Double) -> Double {
        times.totalCount == 0 ? 0 : Double(times.valueAtPercentile(percentile)) / 1_000
    }
}
