import NIOConcurrencyHelpers
import ParleyCore
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
        /// Of the changes written.
        var waits = WaitHistogram()
    }

    private let counters = NIOLockedValueBox(Counters())
    private let rooms = NIOLockedValueBox(RoomActivity())

    func record(_ event: HubEvent) {
        if case .updated(let room) = event { rooms.withLockedValue { $0.updated(room) } }
        counters.withLockedValue { counters in
            switch event {
            case .wrote(let changes, let waits):
                counters.batches += 1
                counters.waits.add(waits)
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

    /// The busiest of the rooms in `local`, at most `count`. Counts from the first call on.
    func busiest(_ count: Int, of local: [RoomNumber]) -> [RoomNumber] {
        rooms.withLockedValue { $0.busiest(count, of: local) }
    }
}
