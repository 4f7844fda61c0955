import Foundation
import Histogram

/// What a run has measured.
struct LoadReport: Sendable {
    private let plan: LoadPlan
    private let sent: Int
    private let seconds: Double
    private let latencies: Histogram<UInt32>
    private let errors: Int
    private let closed: Int

    init(plan: LoadPlan, sent: Int, elapsed: Duration, clients: [LoadClient]) {
        self.plan = plan
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

    private func milliseconds(_ percentile: Double) -> Double {
        delivered == 0 ? 0 : Double(latencies.valueAtPercentile(percentile)) / 1_000
    }

    var table: String {
        func line(_ name: String, _ value: String) -> String {
            name.padding(toLength: 22, withPad: " ", startingAt: 0) + value
        }
        let percentiles = [50.0, 90, 99, 99.9, 100].map {
            line("  p\($0.formatted())", String(format: "%.2f ms", milliseconds($0)))
        }
        return
            ([
                line("messages sent", "\(sent), \(Int(Double(sent) / seconds)) a second"),
                line("deliveries", "\(delivered) of \(sent * plan.members)"),
                line("errors, closed", "\(errors), \(closed)"),
                "from sending to each delivery:",
            ] + percentiles).joined(separator: "\n")
    }

    var json: String {
        let values: [(String, String)] = [
            ("rooms", "\(plan.rooms)"), ("members", "\(plan.members)"), ("nodes", "\(plan.nodes.count)"),
            ("sent", "\(sent)"), ("seconds", String(format: "%.2f", seconds)), ("delivered", "\(delivered)"),
            ("expected", "\(sent * plan.members)"), ("errors", "\(errors)"), ("closed", "\(closed)"),
            ("p50_ms", String(format: "%.3f", milliseconds(50))), ("p99_ms", String(format: "%.3f", milliseconds(99))),
            ("p999_ms", String(format: "%.3f", milliseconds(99.9))),
            ("max_ms", String(format: "%.3f", milliseconds(100))),
        ]
        return "{" + values.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
    }
}
