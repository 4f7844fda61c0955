import NIOCore
import ParleyCore
import TestRandom

@testable import ParleyHub

/// Drives the writer's machine: one batch at a time on each way.
final class SimulatedWriter {
    private let node: SimulatedNode
    private var machine = WriterMachine()
    private var isBusy: [WriterQueue.Way: Bool] = [:]
    private var evictions: [UInt64: () -> Void] = [:]
    private lazy var stores: [WriterQueue.Way: SimulatedLogWriter] = [
        .together: SimulatedLogWriter(.log, of: node), .apart: SimulatedLogWriter(.apart, of: node),
    ]

    init(_ node: SimulatedNode) { self.node = node }

    func run() { answerTheLate() }

    /// What is written together waits on its way to the database.
    func hang(until time: Schedule.Time) { stores[.together]?.hang(until: time) }

    func enqueue(_ change: [UInt8], request: Int64?, of subscription: Subscription) -> Bool {
        defer { write() }
        let schedule = node.world.schedule
        return machine.enqueue(
            Input(
                ticket: Ticket(loop: 0, subscription: subscription.id, request: request),
                member: subscription.clientID, claim: subscription.claim, after: subscription.seen, change: change,
                deadline: schedule.deadline + .microseconds(node.world.plan.patience)),
            room: subscription.room)
    }

    func refuse(_ id: Int64, of subscription: Subscription) {
        machine.refuse(id, of: subscription.clientID, on: subscription.id)
    }

    func forget(_ subscription: SubscriptionID) { machine.forget(subscription) }

    func readmit(_ subscriptions: Set<SubscriptionID>) { machine.readmit(subscriptions) }

    func evict(_ places: [(subscription: SubscriptionID, room: RoomNumber)], then: @escaping () -> Void) {
        guard !places.isEmpty else { return then() }
        let number = machine.evict(Set(places.map(\.subscription)), from: places.map(\.room))
        evictions[number] = then
        endEvictions()
    }

    private func write() {
        for way in [WriterQueue.Way.together, .apart] where isBusy[way] != true && machine.has(way) {
            isBusy[way] = true
            // The rhythm of the writer.
            node.world.schedule.after(0...5_000, on: node.process) { [self] in begin(way) }
        }
    }

    private func begin(_ way: WriterQueue.Way) {
        let schedule = node.world.schedule
        let parts = machine.begin(way) { Tag(truncatingIfNeeded: schedule.random.next()) }
        guard !parts.isEmpty, let store = stores[way] else {
            isBusy[way] = false
            return
        }
        store.append(parts.map(\.append)) { [self] outcomes in
            if let outcomes {
                perform(machine.conclude(way, parts, outcomes))
            } else {
                schedule.note("node \(node.index): a batch is given up")
                perform(machine.giveUp(parts))
            }
            machine.landed(way)
            endEvictions()
            schedule.after(way == .apart ? 50_000 : 0, on: node.process) { [self] in
                isBusy[way] = false
                write()
            }
            write()
        }
    }

    private func endEvictions() {
        for number in machine.takeCompleteEvictions() { evictions.removeValue(forKey: number)?() }
    }

    private func answerTheLate() {
        node.world.schedule.after(node.world.plan.patience / 20, on: node.process) { [self] in
            perform(machine.late(at: node.world.schedule.deadline))
            answerTheLate()
        }
    }

    private func perform(_ effects: [WriterMachine.Effect]) {
        for effect in effects {
            switch effect {
            case .applied(let parts):
                node.homes.committed(
                    parts.map { part, base in
                        let append = part.append
                        return (
                            append.room,
                            base.map {
                                Run(from: $0 + 1, to: $0 + Seq(append.count), tag: append.tag, body: append.body)
                            }
                        )
                    })
            case .answered(let inputs, let end): node.post(.answered(inputs.map(\.ticket), end))
            case .moved(let members, let room, let since, let claim, let inputs):
                node.post(.moved(room, members, since: since, claim: claim, tickets: inputs.map(\.ticket)))
            }
        }
    }
}
