/// One connection of a node to the database. One may lose the answer, or the question, or carry the question later than
/// anybody waits for.
final class SimulatedConnection {
    private let world: World
    private let process: SimulatedProcess
    /// What is asked before then waits on the way.
    var hangsUntil: Schedule.Time = 0

    init(_ world: World, of process: SimulatedProcess) {
        self.world = world
        self.process = process
    }

    /// nil when the connection was lost: whether it was done is not known then.
    func execute<Answer>(_ statement: @escaping () -> Answer, then: @escaping (Answer?) -> Void) {
        let schedule = world.schedule
        let usual = schedule.random.pick(100...(schedule.random.happens(5) ? 40_000 : 2_000))
        let there = max(usual, hangsUntil - schedule.now)
        let back = schedule.random.pick(50...1_000)
        let chance = world.isFaulty ? schedule.random.index(below: 1_000) : 1_000
        let lossPermille = world.plan.connectionLossPermille
        func answer(_ answer: Answer?, after delay: Schedule.Time) {
            schedule.after(delay, on: process) { then(answer) }
        }
        if schedule.now + there < world.database.downUntil || chance < lossPermille {
            // The question never arrives.
            schedule.after(there, on: process) { then(nil) }
        } else if chance < 2 * lossPermille {
            schedule.after(there) { _ = statement() }
            schedule.after(there + back, on: process) { then(nil) }
        } else if chance < 3 * lossPermille {
            // An older backend that was held up: what it does comes after its node has given the connection up.
            schedule.after(schedule.random.pick(1_000...400_000)) { _ = statement() }
            schedule.after(there, on: process) { then(nil) }
        } else {
            schedule.after(there) { answer(statement(), after: back) }
        }
    }
}
