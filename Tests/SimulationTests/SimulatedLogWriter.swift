import ParleyCore

/// Appends batches, one at a time, and finds out of each what became of it.
final class SimulatedLogWriter {
    private let node: SimulatedNode
    private let seat: SimulatedSeat
    private static let attemptsMax = 8

    init(_ kind: SimulatedSeat.Kind, of node: SimulatedNode) {
        self.node = node
        seat = SimulatedSeat(kind, of: node)
    }

    func hang(until time: Schedule.Time) { seat.hang(until: time) }

    /// nil when nothing was done.
    func append(_ appends: [Append], then: @escaping ([AppendOutcome]?) -> Void) {
        commit(appends, skipLocked: false) { [self] effect in
            switch effect {
            case nil, .fenced?: then(nil)
            case .done(let outcomes)?: tellWhoMoved(outcomes.map { $0 ?? .gone }, appends, then)
            case .lockedOut?:
                commit(appends, skipLocked: true) { [self] effect in
                    guard case .done(let outcomes)? = effect else { return then(nil) }
                    tellWhoMoved(outcomes.map { $0 ?? .locked }, appends, then)
                }
            }
        }
    }

    private func tellWhoMoved(
        _ outcomes: [AppendOutcome], _ appends: [Append], _ then: @escaping ([AppendOutcome]?) -> Void
    ) {
        let moved = outcomes.indices.filter { if case .moved = outcomes[$0] { true } else { false } }
        guard !moved.isEmpty, let number = node.registration?.node else { return then(outcomes) }
        let database = node.world.database
        seat.execute {
            moved.map { database.moved(appends[$0], from: number) }
        } then: { answers in
            var told = outcomes
            for (place, index) in moved.enumerated() { told[index] = answers?[place] ?? .locked }
            then(told)
        }
    }

    private func commit(
        _ appends: [Append], skipLocked: Bool, attempt: Int = 1, under registration: Registration? = nil,
        then: @escaping (SimulatedDatabase.Effect?) -> Void
    ) {
        guard attempt <= Self.attemptsMax else { return then(nil) }
        let (world, database) = (node.world, node.world.database)
        seat.take(until: world.schedule.now + world.plan.requestTimeout) { [self] term in
            // Declared dead meanwhile: what its members had sent here is void.
            guard let term, term.registration == registration ?? term.registration else { return then(nil) }
            let batch = term.lastBatch + 1
            func again() {
                commit(
                    appends, skipLocked: skipLocked, attempt: attempt + 1, under: term.registration, then: then)
            }
            seat.execute {
                database.append(appends, in: term, batch: batch, skipLocked: skipLocked)
            } then: { [self] effect in
                switch effect {
                case .done(let outcomes)?:
                    seat.committed(batch, in: term)
                    announce(batch, outcomes, appends, term)
                    then(effect)
                case .lockedOut?: then(effect)
                case .fenced?:
                    seat.fenced(term)
                    again()
                case nil:
                    world.schedule.note("node \(node.index): the answer to batch \(batch) is lost")
                    seat.leave(term)
                    learn(batch, of: appends, in: term) { outcomes in
                        guard let outcomes else { return again() }
                        then(.done(skipLocked ? outcomes : outcomes.map { $0 ?? .appliedUnseen }))
                    }
                }
            }
        }
    }

    /// nil when the batch was not committed and never will be.
    private func learn(
        _ batch: Int64, of appends: [Append], in past: Term, then: @escaping ([AppendOutcome?]?) -> Void
    ) {
        let (world, database) = (node.world, node.world.database)
        seat.take(until: .max) { [self] term in
            guard let term else { return learn(batch, of: appends, in: past, then: then) }
            guard term.lastBatch >= batch else { return then(nil) }
            seat.execute {
                database.readBack(appends)
            } then: { [self] findings in
                guard let findings else {
                    return world.schedule.after(200_000, on: node.process) { [self] in
                        learn(batch, of: appends, in: past, then: then)
                    }
                }
                let outcomes = zip(findings, appends).map { finding, append -> AppendOutcome? in
                    if let base = finding.base { return .applied(base: base) }
                    return finding.claim != append.claim ? .moved(claim: finding.claim, members: []) : nil
                }
                announce(batch, outcomes, appends, term)
                then(outcomes)
            }
        }
    }

    private func announce(_ batch: Int64, _ outcomes: [AppendOutcome?], _ appends: [Append], _ term: Term) {
        let pointers = zip(outcomes, appends).compactMap { outcome, append -> RoomPointer? in
            guard case .applied(let base)? = outcome else { return nil }
            return RoomPointer(room: append.room, lastSeq: base + Seq(append.count))
        }
        node.announce(Hint(writer: term.writer, batch: batch, pointers: pointers))
    }
}

/// What one node tells the others after a batch.
struct Hint {
    var writer: Int64
    var batch: Int64
    var pointers: [RoomPointer] = []
    var takeUps: [SessionTakeUp] = []
}
