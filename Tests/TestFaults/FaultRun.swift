import Foundation
import NIOCore
import NIOPosix
import ParleyClient
import ParleyCluster

/// Clients that speak all the time, on a cluster that suffers a plan of faults; then the judgement.
public struct FaultRun: Sendable {
    /// The `parley` to be run as nodes.
    public var executable: String
    /// For data, logs and records. Removed by the caller.
    public var folder: String
    public var seed: UInt64
    public var faults = 30
    public var pace = Duration.milliseconds(2_500)
    /// What a fault's kind has to begin with.
    public var only: String?
    /// Messages a second, all clients together.
    public var rate = 500.0
    public var nodes = 3
    /// `notify`, or `poll`: then a node hears late of sessions that have moved, and only the database keeps its hands off
    /// them.
    public var feed = "notify"
    public var rooms = 20
    /// How many of them have a rule.
    public var ruledRooms = 5
    /// Of each room.
    public var members = 4
    public var eventLoops = 1
    public var settleBound = Duration.seconds(90)

    private static let beat = Duration.milliseconds(4)
    private static let joiningMax = 32

    public init(executable: String, folder: String, seed: UInt64) {
        self.executable = executable
        self.folder = folder
        self.seed = seed
    }

    public func run(progress: @escaping @Sendable (String) -> Void) async throws -> FaultReport {
        let plan = FaultPlan(seed: seed, faults: faults, nodes: nodes, pace: pace, only: only)
        try write(plan.steps.map(\.description), to: "plan.txt")
        let cluster = try await FaultCluster.start(executable: executable, nodes: nodes, feed: feed, folder: folder)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: eventLoops)
        let speakers = try await assemble(cluster, group)
        progress("\(speakers.count) clients in \(rooms) rooms on \(nodes) nodes; \(faults) faults to come")

        let start = ContinuousClock.now
        let inflictor = FaultInflictor(cluster) { progress("\(Self.time(since: start)) \($0)") }
        let speaking = Task { await speak(speakers) }
        do {
            try await inflictor.run(plan)
        } catch {
            speaking.cancel()
            await inflictor.tell("the run ended early: \(error)")
        }
        speaking.cancel()
        let messages = await speaking.value
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let quiet = ContinuousClock.now
        progress("\(Self.time(since: start)) all faults are over; \(messages) messages; waiting until all is settled")
        try await settle(speakers, cluster)
        var report = FaultReport(seed: seed)
        report.settledAfter = (ContinuousClock.now - quiet) / .seconds(1)
        (report.messages, report.seconds, report.clients) = (messages, seconds, speakers.count)
        for step in plan.steps { report.faults[step.fault.kind, default: 0] += 1 }
        try await judge(speakers, cluster, inflictor, start, &report)
        await withDiscardingTaskGroup { closing in
            for speaker in speakers { closing.addTask { await speaker.close() } }
        }
        try await cluster.stop()
        try await group.shutdownGracefully()
        return report
    }

    // MARK: - Clients

    private func assemble(_ cluster: FaultCluster, _ group: MultiThreadedEventLoopGroup) async throws -> [Speaker] {
        let addresses = cluster.addresses
        let records = (0..<rooms).map { RoomRecord(id: "room-\($0)", isRuled: $0 < ruledRooms) }
        let speakers = (0..<rooms * members).map { number in
            // Each begins at another node; so members of a room are on all of them.
            let first = (number % rooms + number / rooms) % addresses.count
            return Speaker(
                number: number, room: records[number % rooms],
                addresses: Array(addresses[first...] + addresses[..<first]), group: group)
        }
        for start in stride(from: 0, to: speakers.count, by: Self.joiningMax) {
            try await withThrowingTaskGroup(of: Void.self) { joining in
                for speaker in speakers[start..<min(start + Self.joiningMax, speakers.count)] {
                    joining.addTask { try await speaker.join() }
                }
                try await joining.waitForAll()
            }
        }
        return speakers
    }

    /// The clients in turn, at the rate, until it is cancelled. Returns how many messages there were.
    private func speak(_ speakers: [Speaker]) async -> Int {
        let clock = ContinuousClock()
        let start = clock.now
        var (turns, sent, beats) = (0, 0, 0)
        while !Task.isCancelled {
            let due = Int((clock.now - start) / .seconds(1) * rate)
            while turns < due {
                if speakers[turns % speakers.count].speak() { sent += 1 }
                turns += 1
            }
            beats += 1
            do { try await clock.sleep(until: start + Self.beat * beats) } catch { break }
        }
        return sent
    }

    /// Until every message has its answer and every client knows its room to the end.
    private func settle(_ speakers: [Speaker], _ cluster: FaultCluster) async throws {
        let end = ContinuousClock.now + settleBound
        while ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(200))
            guard speakers.allSatisfy({ $0.progress.pending == 0 }) else { continue }
            let heads = try await cluster.postgres.query(
                "SELECT room_id, last_seq FROM parley.room", database: FaultCluster.database)
            let ends = Dictionary(
                uniqueKeysWithValues: heads.split(separator: "\n").compactMap { line -> (String, Int64)? in
                    let fields = line.split(separator: "|")
                    return fields.count == 2 ? (String(fields[0]), Int64(fields[1]) ?? -1) : nil
                })
            let members = try await rosters(cluster)
            if speakers.allSatisfy({
                $0.progress.end == ends[$0.room.id] && $0.progress.roster == members[$0.room.id]
            }) {
                return
            }
        }
    }

    private func rosters(_ cluster: FaultCluster) async throws -> [String: Set<String>] {
        let rows = try await cluster.postgres.query(
            "SELECT room_id, client_id FROM parley.members", database: FaultCluster.database)
        return rows.split(separator: "\n").reduce(into: [:]) { rosters, line in
            let fields = line.split(separator: "|").map(String.init)
            if fields.count == 2 { rosters[fields[0], default: []].insert(fields[1]) }
        }
    }

    // MARK: - Judgement

    private func judge(
        _ speakers: [Speaker], _ cluster: FaultCluster, _ inflictor: FaultInflictor,
        _ start: ContinuousClock.Instant, _ report: inout FaultReport
    ) async throws {
        let logs = try await RoomLog.readAll(
            from: cluster.postgres, database: FaultCluster.database, folder: folder)
        let witness = try await Witness.read(
            from: cluster.postgres, database: FaultCluster.database, folder: folder)
        var checker = Checker()
        for misdeed in await inflictor.misdeeds { checker.tell(misdeed) }
        let written = speakers.map { (room: $0.room, record: $0.written) }
        let rosters = try await rosters(cluster)
        var rosterChecker = RosterChecker(grace: FaultCluster.grace)
        for log in logs {
            let members = written.filter { $0.room.id == log.room }
            guard let room = members.first?.room else {
                checker.tell("\(log.room): nobody made it")
                continue
            }
            checker.check(
                log, seenBy: room, members.map(\.record),
                witnessed: room.isRuled ? witness.counts[log.room, default: [:]] : nil)
            rosterChecker.check(log.room, members: rosters[log.room] ?? [], members.map(\.record))
        }
        for violation in rosterChecker.violations { checker.tell(violation) }
        let records = written.map(\.record)
        report.violations = checker.violations
        report.compared = checker.compared
        for record in records {
            report.departures += record.departures.count
            for (_, moment) in record.moments {
                switch moment {
                case .reset: report.resets += 1
                case .lost: report.lostSockets += 1
                case .open, .back, .ended: break
                }
            }
        }
        report.backAfterKill = await Self.backTimes(inflictor.kills, records)
        if !report.violations.isEmpty {
            report.evidence = folder
            try write(report.violations, to: "violations.txt")
        }
        try FileManager.default.createDirectory(atPath: "\(folder)/records", withIntermediateDirectories: true)
        for record in records {
            let moments = record.moments.map { "\(Self.time($0.at - start)) \($0.moment)" }
            let outcomes = record.outcomes.enumerated().map { "\($0.offset + 1) \($0.element)" }
            try write(
                ["clients \(record.clientIDs)", "seen \(record.stretches)"] + moments + outcomes,
                to: "records/client-\(record.number).txt")
        }
    }

    /// Of each client that was on a node at the moment when it was killed.
    private static func backTimes(_ kills: [FaultInflictor.Kill], _ records: [SpeakerRecord]) -> [Double] {
        var times: [Double] = []
        for kill in kills {
            for record in records {
                let before = record.moments.last { moment in
                    switch moment.moment {
                    case .open, .lost: moment.at <= kill.at
                    case .back, .reset, .ended: false
                    }
                }
                guard before?.moment == .open(node: kill.node),
                    let back = record.moments.first(where: { $0.at > kill.at && $0.moment == .back })
                else { continue }
                times.append((back.at - kill.at) / .milliseconds(1))
            }
        }
        return times.sorted()
    }

    private func write(_ lines: [String], to name: String) throws {
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
    }

    private static func time(since start: ContinuousClock.Instant) -> String { time(ContinuousClock.now - start) }
    private static func time(_ time: Duration) -> String { String(format: "%8.3f s", time / .seconds(1)) }
}
