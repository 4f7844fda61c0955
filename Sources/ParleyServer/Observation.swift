import NIOConcurrencyHelpers
import ParleyHub

/// What has happened on this node since it started, as counters for `/metrics`.
final class Observation: Sendable {
    struct Counters {
        var subscriptionsFellBehind = 0
        var logHoles = 0
        var clientResets = 0
    }

    private let counters = NIOLockedValueBox(Counters())

    func record(_ event: HubEvent) {
        counters.withLockedValue { counters in
            switch event {
            case .subscriptionFellBehind: counters.subscriptionsFellBehind += 1
            case .logHadHole: counters.logHoles += 1
            case .clientReset: counters.clientResets += 1
            }
        }
    }

    var current: Counters { counters.withLockedValue { $0 } }
}
