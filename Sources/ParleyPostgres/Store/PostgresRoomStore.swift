public import Logging
internal import NIOConcurrencyHelpers
public import ParleyCore

/// Rooms in PostgreSQL, shared by all nodes of a cluster.
///
/// Several connections, so that none waits for another's kind of work: one writes batches, one joins and leaves, one
/// reads, one gives the node's signs of life; another one, opened when it is first needed, waits for rooms that foreign
/// transactions hold, prunes, and notes marks.
public final class PostgresRoomStore: RoomStore {
    let configuration: StoreConfiguration
    let logger: Logger
    let registration: NodeRegistration
    let heartbeat: Heartbeat
    let reader: RetryingConnection

    /// For joins, leaves and whatever else is durable and not a batch.
    let registrar: PostgresConnection
    /// The same, for what may be repeated.
    let retryingRegistrar: RetryingConnection
    let writerConnection: PostgresConnection
    private let readerConnection: PostgresConnection
    /// The node's life depends on it: nothing may be in its way.
    private let pulse: PostgresConnection
    let detour: PostgresConnection
    private let writer: LogWriter
    private let writerApart: LogWriter
    let desk: MemberDesk
    let clock = DatabaseClock()
    let channelSeal = ChannelSeal()
    private let marks: MarksReader
    let memberships: MembershipReader
    let snapshots: SnapshotReader
    let rosters: RosterReader
    let logs: LogReader
    let reaper: Reaper
    let pruner: Pruner
    let marksKeeper: MarksKeeper
    let timeline: ServerTimeline
    private let timelineWatcher = Watcher<Void>()
    private let timelineChanges: AsyncStream<Void>
    private let removals = Watcher<[EndedMembership]>()
    private let upkeep = NIOLockedValueBox<[Task<Void, Never>]>([])

    /// Nothing happens before `start()`.
    public init(
        configuration: StoreConfiguration, logger: Logger, observer: (any ConnectionObserver)? = nil
    ) {
        let (changes, change) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let timeline = ServerTimeline { change.yield() }
        self.timeline = timeline
        self.timelineChanges = changes
        func connection(_ role: String, lockTimeout: Duration, durable: Bool = true) -> PostgresConnection {
            let connection = PostgresConnection(
                role: role, url: configuration.url,
                settings: configuration.connectionSettings(lockTimeout: lockTimeout, durable: durable),
                logger: logger, observer: observer
            ) { greeter throws(PostgresError) in try timeline.check(greeter, role: role) }
            timeline.follow(role) { [weak connection] in connection?.reconnect() }
            return connection
        }
        let registrar = connection("registrar", lockTimeout: configuration.lockTimeout)
        let writer = connection("writer", lockTimeout: configuration.lockTimeout)
        let reader = connection("reader", lockTimeout: configuration.lockTimeout, durable: false)
        let pulse = connection("heartbeat", lockTimeout: configuration.lockTimeout, durable: false)
        let detour = connection("detour", lockTimeout: configuration.lockTimeoutApart)
        let registration = NodeRegistration(connection: registrar, configuration: configuration, logger: logger)
        func seat(
            _ kind: WriterKind, _ connection: PostgresConnection, backendPatience: Duration = .seconds(2)
        ) -> WriterSeat {
            WriterSeat(
                kind: kind, connection: connection, registration: registration, configuration: configuration,
                backendPatience: backendPatience, logger: logger)
        }
        self.configuration = configuration
        self.logger = logger
        self.registration = registration
        self.registrar = registrar
        self.writerConnection = writer
        self.readerConnection = reader
        self.pulse = pulse
        self.detour = detour
        let onRemoved: @Sendable ([EndedMembership]) -> Void = { [removals] ended in removals.tell(ended) }
        let slowRules = SlowRules()
        func logWriter(_ seat: WriterSeat, isApart: Bool) -> LogWriter {
            LogWriter(
                seat: seat, isApart: isApart, slowRules: slowRules, configuration: configuration, logger: logger,
                onRemoved: onRemoved)
        }
        self.writer = logWriter(
            // All rooms of the node wait for it, and nobody is blamed.
            seat(.log, writer, backendPatience: .milliseconds(500)), isApart: false)
        self.writerApart = logWriter(seat(.apart, detour), isApart: true)
        let roster = seat(.roster, registrar)
        self.desk = MemberDesk(seat: roster, seal: channelSeal, configuration: configuration, logger: logger)
        self.reader = RetryingConnection(connection: reader, timeout: configuration.requestTimeout)
        self.retryingRegistrar = RetryingConnection(connection: registrar, timeout: configuration.requestTimeout)
        self.marksKeeper = MarksKeeper(connection: detour, logger: logger)
        self.marks = MarksReader(reader: self.reader)
        self.memberships = MembershipReader(reader: self.reader, keeper: marksKeeper)
        self.snapshots = SnapshotReader(reader: self.reader)
        self.rosters = RosterReader(reader: self.reader)
        self.logs = LogReader(reader: self.reader)
        self.heartbeat = Heartbeat(
            connection: pulse, registration: registration, clock: clock, configuration: configuration, logger: logger)
        self.reaper = Reaper(seat: roster, heartbeat: heartbeat, configuration: configuration, logger: logger)
        self.pruner = Pruner(
            reader: self.reader, connection: detour, configuration: configuration, observer: observer, logger: logger)
    }

    /// Compares versions and registers the node. Once.
    public func start() async throws(SchemaError) {
        try await Migrator(url: configuration.url, version: configuration.version, logger: logger).check()
        for connection in [registrar, writerConnection, readerConnection, pulse] { connection.start() }
        do throws(PostgresError) {
            try await registration.register()
        } catch {
            await closeConnections()
            throw .unreachable(reason: "could not register this node: \(error)")
        }
        do throws(StoreError) {
            _ = try await signingKeys()
        } catch {
            // They are read again by whoever needs them.
            logger.warning("the keys of the cluster could not be read", metadata: ["error": "\(error)"])
        }
        let tasks = [
            Task { [reaper] in await reaper.run() }, Task { [heartbeat] in await heartbeat.run() },
            Task { [pruner] in await pruner.run() }, Task { [marksKeeper] in await marksKeeper.run() },
            Task { await followTimeline() },
        ]
        upkeep.withLockedValue { $0 = tasks }
    }

    /// A promoted or restored server may lack what was committed last, and give its numbers again: no older connection
    /// is used any more, nor anything that this process knows by number.
    private func followTimeline() async {
        for await _ in timelineChanges {
            logger.warning("the database goes on with another timeline: a standby was promoted, or a backup restored")
            timeline.reconnectOutdated()
            await registration.startAnew()
            guard !Task.isCancelled else { return }
            timelineWatcher.tell(())
        }
    }

    /// `watcher` is told each time that the database turns out to be on another timeline than before, when this node is
    /// registered there: what is known of any room has to be compared with it.
    public func onTimelineChange(_ watcher: @escaping @Sendable () -> Void) {
        timelineWatcher.become(watcher)
    }

    /// `watcher` is told each time that this node turns out to have been declared dead: others have seen its members
    /// leave, or will. It registers anew by itself.
    public func onDeath(_ watcher: @escaping @Sendable () -> Void) { registration.onDeath(watcher) }

    /// `sink` hears of members that SQL has removed when their node finds out by writing for them, should nobody have
    /// said so.
    func onRemoved(_ sink: @escaping @Sendable ([EndedMembership]) -> Void) { removals.become(sink) }

    /// Signs off and closes all connections. What is under way ends with `unavailable`. Idempotent.
    public func close() async {
        let tasks = upkeep.withLockedValue { tasks in
            defer { tasks = [] }
            return tasks
        }
        if !tasks.isEmpty {
            for task in tasks { task.cancel() }
            for task in tasks { await task.value }
            await registration.resign()
        }
        await closeConnections()
    }

    private func closeConnections() async {
        await withDiscardingTaskGroup { group in
            for connection in [writerConnection, readerConnection, registrar, pulse, detour] {
                group.addTask { await connection.close() }
            }
        }
    }

    /// The number of this process in `parley.nodes`; nil before `start()`.
    public var nodeNumber: Int64? { registration.current?.node }

    // MARK: The log

    public func append(_ appends: [Append]) async throws(StoreError) -> [AppendOutcome] {
        let outcomes = try await writer.append(appends)
        for (append, outcome) in zip(appends, outcomes) { note(outcome, of: append) }
        return outcomes
    }

    public func appendApart(_ append: Append, waits: Bool) async throws(StoreError) -> AppendOutcome {
        detour.start()
        guard let outcome = try await writerApart.append([append], waits: waits).first else {
            throw .unavailable(reason: "no outcome")
        }
        note(outcome, of: append)
        return outcome
    }

    private func note(_ outcome: AppendOutcome, of append: Append) {
        switch outcome {
        case .applied(let base): marksKeeper.applied(append.count, to: append.room, after: base)
        case .judged(let base, let verdicts):
            marksKeeper.applied(verdicts.count(where: \.isAccepted), to: append.room, after: base)
        case .appliedUnseen, .moved, .locked, .slow, .tooMuch, .gone, .invalid: break
        }
    }

    // MARK: Members

    public func enroll(_ enrollment: Enrollment) async throws(StoreError) -> Enrolled {
        let answer = try await desk.ask(.join(enrollment))
        guard let room = answer.room else { throw .roomNotFound }
        let known =
            answer.wasKnown ? try await marks.read(room: room, session: enrollment.session.key) : nil
        let member = Member(
            clientID: enrollment.session.clientID, userID: enrollment.session.userID,
            profile: enrollment.profile ?? known?.profile)
        return Enrolled(
            room: room, claim: answer.claim,
            change: answer.step.map { RosterChange(seq: $0, kind: .joined, member: member) },
            rosterSeq: answer.rosterSeq, count: answer.count, marks: known?.marks ?? Marks(), isRuled: answer.isRuled)
    }

    public func withdraw(_ withdrawal: Withdrawal) async throws(StoreError) -> Withdrawn {
        if !withdrawal.refused.isEmpty {
            _ = try await retryingRegistrar.execute(
                MarksStatement.noteRefused,
                [
                    .int8(withdrawal.room.value), .bytea(withdrawal.session.bytes),
                    .int8Array(withdrawal.refused),
                ])
        }
        let answer = try await desk.ask(.leave(withdrawal))
        let member = answer.clientID.map { Member(clientID: $0, userID: answer.userID) }
        let change = answer.step.flatMap { step in
            member.map { RosterChange(seq: step, kind: .left, member: $0) }
        }
        return Withdrawn(change: change, rosterSeq: answer.rosterSeq, count: answer.count)
    }
}
