import Testing

@testable import ParleyPostgres

/// The state machine alone: no server, no thread, no clock.
@Suite struct PipelineTests {
    private let start = ContinuousClock.now
    private var pipeline = Pipeline(inFlightMax: 4, cancelGrace: .seconds(1))

    private func job(_ id: UInt64, _ statements: [String] = ["a"], seconds: Int = 5, only: Int? = nil) -> Pipeline.Job {
        Pipeline.Job(
            id: JobID(value: id), statements: statements, deadline: start + .seconds(seconds), onlyGeneration: only)
    }

    private static func id(_ value: UInt64) -> JobID { JobID(value: value) }

    private static func refusal(_ sqlState: String, routine: String? = nil) -> Refusal {
        Refusal(sqlState: sqlState, routine: routine, message: "no")
    }

    /// Sends job 1 of one statement and lets the server prepare it, so that "a" is known.
    private mutating func warmUp() {
        _ = pipeline.enqueue(job(1))
        _ = pipeline.nextDispatch()
        for _ in 0..<2 {
            _ = pipeline.received(.rows)
            _ = pipeline.received(.endOfCommand)
        }
        _ = pipeline.received(.sync(warned: false))
    }

    /// One statement, answered.
    private mutating func answerHead() -> Pipeline.Verdict {
        _ = pipeline.received(.rows)
        _ = pipeline.received(.endOfCommand)
        return pipeline.received(.sync(warned: false))
    }

    @Test("nothing is sent before there is a connection, and everything in order after that")
    mutating func order() {
        for id in 1...3 { #expect(pipeline.enqueue(job(UInt64(id))) == nil) }
        #expect(pipeline.nextDispatch() == nil)
        pipeline.connected(generation: 1)
        #expect((1...3).compactMap { _ in pipeline.nextDispatch()?.id } == (1...3).map(Self.id))
        #expect(pipeline.nextDispatch() == nil)
    }

    @Test("no more jobs are under way than the bound allows")
    mutating func bound() {
        pipeline.connected(generation: 1)
        for id in 1...5 { _ = pipeline.enqueue(job(UInt64(id))) }
        for _ in 1...4 { #expect(pipeline.nextDispatch() != nil) }
        #expect(pipeline.nextDispatch() == nil)
        _ = pipeline.received(.rows)
        _ = pipeline.received(.endOfCommand)
        #expect(answerHead() == .ended(Pipeline.Ended(id: Self.id(1), error: nil)))
        #expect(pipeline.nextDispatch()?.id == Self.id(5))
    }

    @Test("behind a pooler a job waits until the one before it has ended")
    mutating func pooled() {
        pipeline.connected(generation: 1, isPooled: true)
        for id in 1...2 { _ = pipeline.enqueue(job(UInt64(id))) }
        #expect(pipeline.nextDispatch()?.commands == [.applySettings, .executeUnnamed(step: 0)])
        #expect(pipeline.nextDispatch() == nil)
        _ = pipeline.received(.rows)
        _ = pipeline.received(.endOfCommand)
        #expect(answerHead() == .ended(Pipeline.Ended(id: Self.id(1), error: nil)))
        #expect(pipeline.nextDispatch()?.id == Self.id(2))
    }

    @Test("the first user of a statement prepares it, those behind run it without a name until that is confirmed")
    mutating func preparation() {
        pipeline.connected(generation: 1)
        for id in 1...2 { _ = pipeline.enqueue(job(UInt64(id))) }
        #expect(pipeline.nextDispatch()?.commands == [.prepare(step: 0), .executePrepared(step: 0)])
        #expect(pipeline.nextDispatch()?.commands == [.executeUnnamed(step: 0)])
        #expect(pipeline.received(.rows) == .goOn)
        #expect(pipeline.received(.endOfCommand) == .goOn)
        _ = pipeline.enqueue(job(3))
        #expect(pipeline.nextDispatch()?.commands == [.executePrepared(step: 0)])
        #expect(pipeline.received(.rows) == .keepRows(Self.id(1)))
    }

    @Test("a statement that stands twice in a job is prepared once")
    mutating func twiceInOneJob() {
        pipeline.connected(generation: 1)
        _ = pipeline.enqueue(job(1, ["a", "b", "a"]))
        #expect(
            pipeline.nextDispatch()?.commands == [
                .prepare(step: 0), .executePrepared(step: 0), .prepare(step: 1), .executePrepared(step: 1),
                .executePrepared(step: 2),
            ])
    }

    @Test("a statement whose preparation was skipped by an earlier error counts as unknown")
    mutating func skippedPreparation() {
        pipeline.connected(generation: 1)
        _ = pipeline.enqueue(job(1, ["a", "b"]))
        _ = pipeline.nextDispatch()
        _ = pipeline.received(.rows)
        _ = pipeline.received(.endOfCommand)
        #expect(pipeline.received(.refused(Self.refusal("22012"))) == .goOn)
        _ = pipeline.received(.endOfCommand)
        for _ in 0..<2 {
            #expect(pipeline.received(.skipped) == .goOn)
            _ = pipeline.received(.endOfCommand)
        }
        let ended = Pipeline.Ended(id: Self.id(1), error: Self.refusal("22012").error)
        #expect(pipeline.received(.sync(warned: false)) == .ended(ended))
        _ = pipeline.enqueue(job(2, ["a", "b"]))
        #expect(
            pipeline.nextDispatch()?.commands == [
                .executePrepared(step: 0), .prepare(step: 1), .executePrepared(step: 1),
            ])
    }

    @Test("an error at the Sync, as of a deferred constraint, ends the job that had its rows already")
    mutating func errorAtSync() {
        pipeline.connected(generation: 1)
        warmUp()
        _ = pipeline.enqueue(job(2))
        _ = pipeline.nextDispatch()
        _ = pipeline.received(.rows)
        _ = pipeline.received(.endOfCommand)
        #expect(pipeline.received(.refused(Self.refusal("23505"))) == .goOn)
        #expect(pipeline.received(.endOfCommand) == .goOn)
        let ended = Pipeline.Ended(id: Self.id(2), error: Self.refusal("23505").error)
        #expect(pipeline.received(.sync(warned: false)) == .ended(ended))
    }

    @Test(
        "a job that fails only for its prepared statement runs once more without it",
        arguments: [("26000", nil), ("0A000", "RevalidateCachedQuery")] as [(String, String?)])
    mutating func lostStatement(sqlState: String, routine: String?) {
        pipeline.connected(generation: 1)
        warmUp()
        _ = pipeline.enqueue(job(2))
        _ = pipeline.enqueue(job(3))
        #expect(pipeline.nextDispatch()?.commands == [.executePrepared(step: 0)])
        _ = pipeline.received(.refused(Self.refusal(sqlState, routine: routine)))
        _ = pipeline.received(.endOfCommand)
        #expect(pipeline.received(.sync(warned: false)) == .again(Self.id(2)))
        #expect(pipeline.nextDispatch() == Pipeline.Dispatch(id: Self.id(2), commands: [.executeUnnamed(step: 0)]))
        // A second refusal is the answer.
        _ = pipeline.received(.refused(Self.refusal(sqlState, routine: routine)))
        _ = pipeline.received(.endOfCommand)
        let ended = Pipeline.Ended(id: Self.id(2), error: Self.refusal(sqlState).error)
        #expect(pipeline.received(.sync(warned: false)) == .ended(ended))
    }

    @Test("a statement whose name is taken is run without a name from then on")
    mutating func nameTaken() {
        pipeline.connected(generation: 1)
        _ = pipeline.enqueue(job(1))
        _ = pipeline.nextDispatch()
        _ = pipeline.received(.refused(Self.refusal("42P05")))
        _ = pipeline.received(.endOfCommand)
        _ = pipeline.received(.skipped)
        _ = pipeline.received(.endOfCommand)
        #expect(pipeline.received(.sync(warned: false)) == .again(Self.id(1)))
        _ = pipeline.enqueue(job(2))
        for _ in 0..<2 { #expect(pipeline.nextDispatch()?.commands == [.executeUnnamed(step: 0)]) }
    }

    @Test("an error of the feature class that is not about the plan is not tried again")
    mutating func otherUnsupported() {
        pipeline.connected(generation: 1)
        warmUp()
        _ = pipeline.enqueue(job(2))
        _ = pipeline.nextDispatch()
        _ = pipeline.received(.refused(Self.refusal("0A000", routine: "transformStmt")))
        _ = pipeline.received(.endOfCommand)
        let ended = Pipeline.Ended(id: Self.id(2), error: Self.refusal("0A000").error)
        #expect(pipeline.received(.sync(warned: false)) == .ended(ended))
    }

    @Test("a new connection knows no prepared statement")
    mutating func newConnectionPrepares() {
        pipeline.connected(generation: 1)
        warmUp()
        _ = pipeline.disconnected("gone")
        pipeline.connected(generation: 2)
        _ = pipeline.enqueue(job(2))
        #expect(pipeline.nextDispatch()?.commands == [.prepare(step: 0), .executePrepared(step: 0)])
    }

    @Test("a lost connection ends what was sent as unknown and keeps what was not")
    mutating func disconnect() {
        pipeline.connected(generation: 1)
        for id in 1...2 { _ = pipeline.enqueue(job(UInt64(id))) }
        _ = pipeline.enqueue(job(3, only: 1))
        _ = pipeline.nextDispatch()
        #expect(
            pipeline.disconnected("gone") == [
                Pipeline.Ended(id: Self.id(1), error: .connectionLost(reason: "gone")),
                Pipeline.Ended(
                    id: Self.id(3), error: .unavailable(reason: "the connection for which it was meant is gone")),
            ])
        #expect(pipeline.nextDispatch() == nil)
        pipeline.connected(generation: 2)
        #expect(pipeline.nextDispatch()?.id == Self.id(2))
    }

    @Test("a job for another generation is refused at once", arguments: [nil, 2] as [Int?])
    mutating func wrongGeneration(connected: Int?) {
        if let connected { pipeline.connected(generation: connected) }
        #expect(pipeline.enqueue(job(1, only: 1))?.id == Self.id(1))
        #expect(pipeline.nextDispatch() == nil)
    }

    @Test("a job that was not sent by its deadline was not done, and the reason says why there is no connection")
    mutating func expiresUnsent() {
        pipeline.connectFailed("no such host")
        _ = pipeline.enqueue(job(1, seconds: 1))
        _ = pipeline.enqueue(job(2, seconds: 3))
        #expect(pipeline.wakeUpAt == start + .seconds(1))
        #expect(pipeline.tick(start + .milliseconds(999)) == Pipeline.Tick())
        let ended = Pipeline.Ended(id: Self.id(1), error: .unavailable(reason: "not connected: no such host"))
        #expect(pipeline.tick(start + .seconds(1)) == Pipeline.Tick(ended: [ended]))
        #expect(pipeline.wakeUpAt == start + .seconds(3))
    }

    @Test("at its deadline the job at the head is cancelled, and timed out once the server confirms it")
    mutating func deadline() {
        pipeline.connected(generation: 1)
        warmUp()
        _ = pipeline.enqueue(job(2, seconds: 1))
        _ = pipeline.nextDispatch()
        #expect(pipeline.tick(start + .seconds(1)) == Pipeline.Tick(cancel: true))
        #expect(pipeline.tick(start + .seconds(1)) == Pipeline.Tick())
        _ = pipeline.received(.refused(Self.refusal("57014")))
        _ = pipeline.received(.endOfCommand)
        let ended = Pipeline.Ended(id: Self.id(2), error: .timedOut(statement: "a"))
        #expect(pipeline.received(.sync(warned: false)) == .ended(ended))
    }

    @Test("an answer that comes after the deadline is still the answer")
    mutating func lateAnswer() {
        pipeline.connected(generation: 1)
        warmUp()
        _ = pipeline.enqueue(job(2, seconds: 1))
        _ = pipeline.nextDispatch()
        _ = pipeline.tick(start + .seconds(1))
        #expect(answerHead() == .ended(Pipeline.Ended(id: Self.id(2), error: nil)))
    }

    @Test("success with a warning after a cancel request is uncertain: the standby may not have it")
    mutating func warnedCommit() {
        pipeline.connected(generation: 1)
        warmUp()
        _ = pipeline.enqueue(job(2, seconds: 1))
        _ = pipeline.nextDispatch()
        _ = pipeline.tick(start + .seconds(1))
        _ = pipeline.received(.rows)
        _ = pipeline.received(.endOfCommand)
        let error = PostgresError.connectionLost(reason: "cancelled while it was being committed")
        #expect(pipeline.received(.sync(warned: true)) == .ended(Pipeline.Ended(id: Self.id(2), error: error)))
    }

    @Test("a warning without a cancel request changes nothing")
    mutating func plainWarning() {
        pipeline.connected(generation: 1)
        warmUp()
        _ = pipeline.enqueue(job(2))
        _ = pipeline.nextDispatch()
        _ = pipeline.received(.rows)
        _ = pipeline.received(.endOfCommand)
        #expect(pipeline.received(.sync(warned: true)) == .ended(Pipeline.Ended(id: Self.id(2), error: nil)))
    }

    @Test("no answer within the grace after the deadline gives the connection up")
    mutating func graceOver() {
        pipeline.connected(generation: 1)
        warmUp()
        _ = pipeline.enqueue(job(2, seconds: 1))
        _ = pipeline.nextDispatch()
        _ = pipeline.tick(start + .seconds(1))
        #expect(pipeline.wakeUpAt == start + .seconds(2))
        #expect(pipeline.tick(start + .seconds(2)).broken != nil)
    }

    @Test("a cancel request that hit nothing is repeated")
    mutating func cancelAgain() {
        pipeline.connected(generation: 1)
        warmUp()
        _ = pipeline.enqueue(job(2, seconds: 1))
        _ = pipeline.nextDispatch()
        _ = pipeline.tick(start + .seconds(1))
        pipeline.cancelReturned(start + .milliseconds(1_010))
        #expect(!pipeline.tick(start + .milliseconds(1_011)).cancel)
        #expect(pipeline.wakeUpAt == start + .milliseconds(1_260))
        #expect(pipeline.tick(start + .milliseconds(1_260)).cancel)
    }

    @Test("a job whose time is up behind another one is cancelled only when it is its turn")
    mutating func cancelOnlyHead() {
        pipeline.connected(generation: 1)
        warmUp()
        _ = pipeline.enqueue(job(2, seconds: 9))
        _ = pipeline.enqueue(job(3, seconds: 1))
        for _ in 0..<2 { _ = pipeline.nextDispatch() }
        #expect(pipeline.tick(start + .seconds(1)) == Pipeline.Tick())
        _ = answerHead()
        #expect(pipeline.tick(start + .seconds(1)) == Pipeline.Tick(cancel: true))
    }

    @Test("a job that a cancel request hit by mistake was not done and can be repeated")
    mutating func collateral() {
        pipeline.connected(generation: 1)
        warmUp()
        _ = pipeline.enqueue(job(2, seconds: 1))
        _ = pipeline.enqueue(job(3))
        for _ in 0..<2 { _ = pipeline.nextDispatch() }
        _ = pipeline.tick(start + .seconds(1))
        _ = answerHead()
        _ = pipeline.received(.refused(Self.refusal("57014")))
        _ = pipeline.received(.endOfCommand)
        let error = PostgresError.unavailable(reason: "hit by the request to cancel another statement")
        #expect(pipeline.received(.sync(warned: false)) == .ended(Pipeline.Ended(id: Self.id(3), error: error)))
    }

    @Test("a timeout of the server itself stays the server's error")
    mutating func serverTimeout() {
        pipeline.connected(generation: 1)
        warmUp()
        _ = pipeline.enqueue(job(2))
        _ = pipeline.nextDispatch()
        _ = pipeline.received(.refused(Self.refusal("57014")))
        _ = pipeline.received(.endOfCommand)
        let ended = Pipeline.Ended(id: Self.id(2), error: Self.refusal("57014").error)
        #expect(pipeline.received(.sync(warned: false)) == .ended(ended))
    }

    @Test("a job abandoned in the queue ends as cancelled; one under way is cancelled on the server")
    mutating func abandon() {
        pipeline.connected(generation: 1)
        warmUp()
        for id in 2...3 { _ = pipeline.enqueue(job(UInt64(id))) }
        _ = pipeline.nextDispatch()
        #expect(pipeline.abandon(Self.id(3)) == Pipeline.Ended(id: Self.id(3), error: .cancelled))
        #expect(pipeline.abandon(Self.id(2)) == nil)
        #expect(pipeline.tick(start) == Pipeline.Tick(cancel: true))
        _ = pipeline.received(.refused(Self.refusal("57014")))
        _ = pipeline.received(.endOfCommand)
        let ended = Pipeline.Ended(id: Self.id(2), error: .cancelled)
        #expect(pipeline.received(.sync(warned: false)) == .ended(ended))
    }

    @Test("the end fails what waits with its error, and what was sent as unknown")
    mutating func end() {
        pipeline.connected(generation: 1)
        for id in 1...2 { _ = pipeline.enqueue(job(UInt64(id))) }
        _ = pipeline.nextDispatch()
        let ended = pipeline.end(.closed)
        #expect(ended.map(\.id) == [Self.id(1), Self.id(2)])
        #expect(ended[0].error == .connectionLost(reason: PostgresError.closed.description))
        #expect(ended[1].error == .closed)
    }

    @Test("answers that do not fit what was sent break the connection")
    mutating func desynchronised() {
        pipeline.connected(generation: 1)
        #expect(pipeline.received(.rows) == .broken(reason: "an answer that nobody had asked for"))
        warmUp()
        _ = pipeline.enqueue(job(2))
        _ = pipeline.nextDispatch()
        #expect(pipeline.received(.sync(warned: false)) == .broken(reason: "fewer answers than statements"))
        _ = pipeline.received(.rows)
        _ = pipeline.received(.endOfCommand)
        #expect(pipeline.received(.rows) == .broken(reason: "more answers than statements"))
    }

    @Test("a failed connection, which only gives ends of commands, is not listened to for ever")
    mutating func endsWithoutAnswers() {
        pipeline.connected(generation: 1)
        warmUp()
        _ = pipeline.enqueue(job(2))
        _ = pipeline.nextDispatch()
        #expect(pipeline.received(.endOfCommand) == .broken(reason: "an answer is missing"))
        _ = pipeline.received(.rows)
        #expect(pipeline.received(.endOfCommand) == .goOn)
        #expect(pipeline.received(.endOfCommand) == .broken(reason: "an answer is missing"))
    }

    @Test("random jobs, answers, deadlines and disconnects: each job ends exactly once")
    mutating func exactlyOnce() {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var generator = SplitMix(state: seed)
        var clock = start
        var generation = 0
        var isConnected = false
        var sent: [(id: JobID, answersLeft: Int)] = []
        var open: Set<JobID> = []
        var endedTwice = 0
        func ended(_ all: [Pipeline.Ended]) {
            for one in all where open.remove(one.id) == nil { endedTwice += 1 }
        }
        var nextID: UInt64 = 0
        for _ in 0..<20_000 {
            switch Int.random(in: 0..<12, using: &generator) {
            case 0...2:
                nextID += 1
                open.insert(Self.id(nextID))
                let only = Bool.random(using: &generator) ? nil : generation
                let names = (0..<Int.random(in: 0...3, using: &generator)).map { _ in
                    "abc".randomElement(using: &generator)
                }
                let job = Pipeline.Job(
                    id: Self.id(nextID), statements: names.compactMap { $0.map { String($0) } },
                    deadline: clock + .milliseconds(Int.random(in: 1...500, using: &generator)), onlyGeneration: only)
                ended(pipeline.enqueue(job).map { [$0] } ?? [])
            case 3, 4:
                if let dispatch = pipeline.nextDispatch() { sent.append((dispatch.id, dispatch.commands.count)) }
            case 5...8:
                guard !sent.isEmpty else { continue }
                if sent[0].answersLeft > 0 {
                    sent[0].answersLeft -= 1
                    let refusals = ["57014", "26000", "42P05", "23505"]
                    let isRefused = Int.random(in: 0..<4, using: &generator) == 0
                    _ = pipeline.received(
                        isRefused ? .refused(Self.refusal(refusals.randomElement(using: &generator) ?? "")) : .rows)
                    _ = pipeline.received(.endOfCommand)
                    continue
                }
                let id = sent.removeFirst().id
                switch pipeline.received(.sync(warned: Bool.random(using: &generator))) {
                case .ended(let one):
                    #expect(one.id == id)
                    ended([one])
                case .again(let again): #expect(again == id)
                case .goOn, .keepRows, .broken: Issue.record("a Sync ends its job")
                }
            case 9:
                ended(pipeline.abandon(Self.id(UInt64.random(in: 0...nextID, using: &generator))).map { [$0] } ?? [])
            case 10:
                clock += .milliseconds(Int.random(in: 0...50, using: &generator))
                let tick = pipeline.tick(clock)
                ended(tick.ended)
                if tick.cancel { pipeline.cancelReturned(clock) }
                if tick.broken != nil {
                    ended(pipeline.disconnected("broken"))
                    sent = []
                    isConnected = false
                }
            default:
                if !isConnected {
                    generation += 1
                    pipeline.connected(generation: generation)
                    isConnected = true
                } else if Int.random(in: 0..<20, using: &generator) == 0 {
                    ended(pipeline.disconnected("gone"))
                    sent = []
                    isConnected = false
                }
            }
        }
        ended(pipeline.end(.closed))
        #expect(open.isEmpty)
        #expect(endedTwice == 0)
    }
}

/// A small generator whose sequence a seed repeats.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
