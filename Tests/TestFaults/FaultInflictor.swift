import Foundation
import ParleyCluster

/// Carries a plan out. Faults may overlap, also those of one node; what belongs to one node's process takes turns.
actor FaultInflictor {
    private let cluster: FaultCluster
    private let say: @Sendable (String) -> Void
    private(set) var kills: [Kill] = []
    /// What nodes did that none may do: ended by themselves, or did not end when told to.
    private(set) var misdeeds: [String] = []
    private var busyNodes: Set<Int> = []
    private var isDatabaseBusy = false

    struct Kill: Sendable {
        var node: String
        var at: ContinuousClock.Instant
    }

    init(_ cluster: FaultCluster, say: @escaping @Sendable (String) -> Void) {
        self.cluster = cluster
        self.say = say
    }

    func tell(_ misdeed: String) { misdeeds.append(misdeed) }

    func run(_ plan: FaultPlan) async throws {
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, step) in plan.steps.enumerated() {
                try await Task.sleep(until: start + step.at, clock: .continuous)
                say(
                    "fault \(index + 1) of \(plan.steps.count): \(step.fault), \(Int(step.lasts / .milliseconds(1))) ms"
                )
                group.addTask { try await self.inflict(step) }
            }
            try await group.waitForAll()
        }
        // Whatever overlapped: all is well again.
        for link in cluster.clientLinks + cluster.databaseLinks { await link.set(.passing) }
        for node in cluster.nodes {
            node.signal(SIGCONT)
            if !node.isRunning { misdeeds.append("\(node.name) ended by itself: \(node.logFile)") }
            try await node.becomeReady()
        }
    }

    private func inflict(_ step: FaultPlan.Step) async throws {
        switch step.fault {
        case .nodeKilled(let index):
            try await takingTurns(at: index) {
                self.kills.append(Kill(node: cluster.nodes[index].name, at: .now))
                try await cluster.nodes[index].kill()
                try await Task.sleep(for: step.lasts)
                try await cluster.nodes[index].becomeReady()
            }
        case .nodeTerminated(let index):
            try await takingTurns(at: index) {
                if try await !cluster.nodes[index].terminate() {
                    self.misdeeds.append(
                        "\(cluster.nodes[index].name) did not end within \(FaultNode.endBound) of SIGTERM")
                }
                try await Task.sleep(for: step.lasts)
                try await cluster.nodes[index].becomeReady()
            }
        case .nodePaused(let index):
            try await takingTurns(at: index) {
                cluster.nodes[index].signal(SIGSTOP)
                try await Task.sleep(for: step.lasts)
                cluster.nodes[index].signal(SIGCONT)
            }
        case .databaseCrashed:
            guard !isDatabaseBusy else { return }
            isDatabaseBusy = true
            defer { isDatabaseBusy = false }
            _ = try await cluster.postgres.stop(.immediate)
            try await Task.sleep(for: step.lasts)
            _ = try await cluster.postgres.start()
        case .backendsTerminated(let all):
            guard !isDatabaseBusy else { return }
            let which = all ? "true" : "pid % 2 = 0"
            do {
                try await cluster.postgres.query(
                    """
                    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE datname = '\(FaultCluster.database)' AND pid <> pg_backend_pid() AND \(which)
                    """)
            } catch {
                // It crashed just now, which ends backends as well.
                say("no backend was terminated: \(error)")
            }
        case .clientLinksCut(let index, let byReset): await cluster.clientLinks[index].cut(byReset: byReset)
        case .databaseLinksCut(let index, let byReset): await cluster.databaseLinks[index].cut(byReset: byReset)
        case .clientLinksStalled(let index):
            try await hold(cluster.clientLinks[index], .stalled, for: step.lasts)
        case .databaseLinksStalled(let index):
            try await hold(cluster.databaseLinks[index], .stalled, for: step.lasts)
        case .clientLinksDelayed(let index, let ms):
            try await hold(cluster.clientLinks[index], .delaying(ms: ms), for: step.lasts)
        case .databaseLinksDelayed(let index, let ms):
            try await hold(cluster.databaseLinks[index], .delaying(ms: ms), for: step.lasts)
        case .databaseAnswersLost(let index):
            try await hold(cluster.databaseLinks[index], .losingAnswers, for: step.lasts)
            await cluster.databaseLinks[index].cut(byReset: true)
        }
    }

    private func hold(_ link: FaultyLink, _ mode: FaultyLink.Mode, for time: Duration) async throws {
        await link.set(mode)
        try await Task.sleep(for: time)
        await link.set(.passing)
    }

    /// A node that is being killed, paused or started is left to that.
    private func takingTurns(at index: Int, _ body: () async throws -> Void) async throws {
        guard busyNodes.insert(index).inserted else { return }
        defer { busyNodes.remove(index) }
        try await body()
    }
}
