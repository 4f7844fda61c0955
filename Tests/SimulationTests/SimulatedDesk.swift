import ParleyCore

/// Joins, leaves and sessions of a node: one after another, under one writer.
final class SimulatedDesk {
    private let node: SimulatedNode
    private let seat: SimulatedSeat
    private var waiting: [() -> Void] = []
    private var isBusy = false

    init(of node: SimulatedNode) {
        self.node = node
        seat = SimulatedSeat(.roster, of: node)
    }

    func join(_ session: SessionIdentity, socket: Int64, _ room: RoomID, then: @escaping (Enrolled?) -> Void) {
        let database = node.world.database
        ask { term in
            database.join(session, socket: socket, room, in: term)
        } then: { [node] joined in
            guard let (term, joined) = joined else { return then(nil) }
            let pointers = joined.enrolled.map { [RoomPointer(room: joined.room, rosterSeq: $0.rosterSeq)] } ?? []
            node.announce(Hint(writer: term.writer, batch: joined.batch, pointers: pointers))
            guard var enrolled = joined.enrolled else { return then(nil) }
            // With a snapshot of its own: what is read after the commit is final.
            node.read {
                database.marks(of: session.key, in: joined.room)
            } then: { marks in
                guard let marks else { return then(nil) }
                enrolled.marks = marks
                then(enrolled)
            }
        }
    }

    func leave(_ session: SessionKey, socket: Int64, _ room: RoomNumber, then: @escaping (Withdrawn?) -> Void) {
        let database = node.world.database
        ask { term in
            database.leave(session, socket: socket, room, in: term)
        } then: { [node] left in
            guard let (term, (batch, withdrawn)) = left else { return then(nil) }
            let pointers = [RoomPointer(room: room, rosterSeq: withdrawn.rosterSeq)]
            node.announce(Hint(writer: term.writer, batch: batch, pointers: pointers))
            then(withdrawn)
        }
    }

    func takeUp(_ session: SessionIdentity, then: @escaping (Int64?) -> Void) {
        let database = node.world.database
        ask { term in
            database.takeUp(session, in: term).map { .done($0) } ?? .fenced
        } then: { [node] taken in
            guard let (term, taken) = taken else { return then(nil) }
            let takeUp = SessionTakeUp(clientID: session.clientID, number: taken.number)
            node.announce(Hint(writer: term.writer, batch: taken.batch, takeUps: [takeUp]))
            then(taken.number)
        }
    }

    func clear(then: @escaping ([RoomPointer]) -> Void) {
        let database = node.world.database
        ask { term in
            database.clearDeadNode(in: term).map { .done($0) } ?? .fenced
        } then: { [node] cleared in
            guard let (term, cleared) = cleared else { return then([]) }
            node.announce(Hint(writer: term.writer, batch: cleared.batch, pointers: cleared.pointers))
            then(cleared.pointers)
        }
    }

    /// Again and again while that may help: all of it may be done twice. nil when it was not done in time.
    private func ask<Value>(
        _ statement: @escaping (Term) -> SimulatedDatabase.Member<Value>, then: @escaping ((Term, Value)?) -> Void
    ) {
        let deadline = node.world.schedule.now + node.world.plan.requestTimeout
        waiting.append { [self] in
            attempt(statement, until: deadline) { [self] answer in
                isBusy = false
                next()
                then(answer)
            }
        }
        next()
    }

    private func next() {
        guard !isBusy, !waiting.isEmpty else { return }
        isBusy = true
        waiting.removeFirst()()
    }

    private func attempt<Value>(
        _ statement: @escaping (Term) -> SimulatedDatabase.Member<Value>, until deadline: Schedule.Time,
        then: @escaping ((Term, Value)?) -> Void
    ) {
        let schedule = node.world.schedule
        guard schedule.now < deadline else { return then(nil) }
        seat.take(until: deadline) { [self] term in
            guard let term else { return then(nil) }
            seat.execute {
                statement(term)
            } then: { [self] answer in
                switch answer {
                case .done(let value)?: return then((term, value))
                case .locked?: break
                case .fenced?: seat.fenced(term)
                case nil: seat.leave(term)
                }
                schedule.after(5_000, on: node.process) { [self] in attempt(statement, until: deadline, then: then) }
            }
        }
    }
}
