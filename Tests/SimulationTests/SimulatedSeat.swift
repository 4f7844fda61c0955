/// The rows by which the database knows a node.
struct Registration: Equatable {
    var node: Int64
    var incarnation: Int64
    /// For the log, apart and rosters.
    var writers: [Int64]
}

/// The right of one connection to write under one row.
struct Term: Equatable {
    var registration: Registration
    var writer: Int64
    var epoch: Int64
    var lastBatch: Int64
}

/// Takes a writer's row over by raising its epoch, as often as its connection is lost.
final class SimulatedSeat {
    enum Kind: Int { case log, apart, roster }

    private let node: SimulatedNode
    private let kind: Kind
    private let connection: SimulatedConnection
    private var term: Term?

    init(_ kind: Kind, of node: SimulatedNode) {
        self.kind = kind
        self.node = node
        connection = SimulatedConnection(node.world, of: node.process)
    }

    func hang(until time: Schedule.Time) { connection.hangsUntil = time }

    /// nil when it could not be taken in time.
    func take(until deadline: Schedule.Time, then: @escaping (Term?) -> Void) {
        guard let registration = node.registration else { return again(until: deadline, then) }
        if let term, term.registration == registration { return then(term) }
        let (database, writer) = (node.world.database, registration.writers[kind.rawValue])
        connection.execute {
            database.takeOver(writer, incarnation: registration.incarnation)
        } then: { [self] answer in
            switch answer {
            case nil: again(until: deadline, then)
            case .some(nil):
                node.renew(registration)
                again(until: deadline, then)
            case .some(.some(let taken)):
                let term = Term(
                    registration: registration, writer: writer, epoch: taken.epoch, lastBatch: taken.lastBatch)
                self.term = term
                // Somebody may have found out meanwhile that the node was declared dead.
                guard node.registration == registration else { return again(until: deadline, then) }
                then(term)
            }
        }
    }

    func execute<Answer>(_ statement: @escaping () -> Answer, then: @escaping (Answer?) -> Void) {
        connection.execute(statement, then: then)
    }

    func committed(_ batch: Int64, in past: Term) { if term == past { term?.lastBatch = batch } }

    /// The answer to what was sent last is lost: the next term will tell.
    func leave(_ past: Term) { if term == past { term = nil } }

    func fenced(_ past: Term) {
        leave(past)
        node.renew(past.registration)
    }

    private func again(until deadline: Schedule.Time, _ then: @escaping (Term?) -> Void) {
        let schedule = node.world.schedule
        guard schedule.now + 50_000 < deadline else {
            return schedule.after(0, on: node.process) { then(nil) }
        }
        schedule.after(20_000...50_000, on: node.process) { [self] in take(until: deadline, then: then) }
    }
}
