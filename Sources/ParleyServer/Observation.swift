import NIOConcurrencyHelpers
import ParleyHub

/// What has happened on this node since it started, as counters for `/metrics`.
final class Observation: Sendable {
    struct Counters {
        var batches = 0
        var changesWritten = 0
        var runsRead = 0
        var updates = 0
        var subscriptionsFellBehind = 0
        var logHoles = 0
        var clientResets = 0
        var membersMoved = 0
    }

    private let counters = NIOLockedValueBox(Counters())

    func record(_ event: HubEvent) {
        counters.withLockedValue { counters in
            switch event {
            case .wrote(let changes):
                counters.batches += 1
                counters.changesWritten += changes
            case .read(let runs): counters.runsRead += runs
            case .updated: counters.updates += 1
            case .subscriptionFellBehind: counters.subscriptionsFellBehind += 1
            case .logHadHole: counters.logHoles += 1
            case .clientReset: counters.clientResets += 1
            case .membersMoved(let members): counters.membersMoved += members
            }
        }
    }

    var current: Counters { counters.withLockedValue { $0 } }
}
