import Foundation
import Histogram
import NIOCore
import NIOPosix
import ParleyClient

/// Carries a plan out.
struct LoadRun: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Members that connect at the same time.
    private static let connectingMax = 64
    /// How often messages are sent; each time as many as the rate asks for.
    private static let beat = Duration.milliseconds(1)

    private let plan: LoadPlan

    init(_ plan: LoadPlan) { self.plan = plan }

    func run(progress: @Sendable (String) -> Void) async throws -> LoadReport {
        let all = try await connect()
        try await each(all.filter { $0.member == 0 }) { await $0.create(rule: plan.rule) }
        progress("\(plan.rooms) rooms made, \(all.count) clients connected")
        let joining = try await join(all)
        let clients = all.filter { $0.member < plan.members }
        for client in all where client.member >= plan.members { try await client.stall() }
        progress("\(all.count) joins took \(Int(joining / .milliseconds(1))) ms")
        progress("\(clients.count) members in \(plan.rooms) rooms on \(plan.nodes.count) nodes")
        let senders = clients.filter { $0.member < plan.senders }
        _ = await send(by: senders, for: plan.warmup)
        for client in clients { client.startMeasuring() }
        let start = ContinuousClock.now
        let sent = await send(by: senders, for: plan.measured)
        let elapsed = ContinuousClock.now - start
        // What was sent in time counts also when it arrives a little later.
        try await Task.sleep(for: .milliseconds(500))
        for client in clients { client.stopMeasuring() }
        let report = LoadReport(plan: plan, joining: joining, sent: sent, elapsed: elapsed, clients: clients)
        await withDiscardingTaskGroup { group in
            for client in clients { group.addTask { await client.close() } }
            // These would not hear the answer to a farewell.
            for client in all where client.member >= plan.members { group.addTask { await client.drop() } }
        }
        return report
    }

    private func connect() async throws -> [LoadClient] {
        let run = String(UInt32.random(in: .min ... .max), radix: 16)
        var clients: [LoadClient] = []
        let places = (0..<plan.rooms * plan.members + plan.stalled).map {
            (room: $0 % plan.rooms, member: $0 / plan.rooms)
        }
        for start in stride(from: 0, to: places.count, by: Self.connectingMax) {
            let some = places[start..<min(start + Self.connectingMax, places.count)]
            try await withThrowingTaskGroup(of: LoadClient.self) { group in
                for (room, member) in some {
                    let node = plan.nodes[(room + member) % plan.nodes.count]
                    group.addTask { [plan] in
                        do {
                            return try await LoadClient.open(
                                "load-\(run)-\(room)", as: member, at: node, size: plan.size,
                                onlyOthers: plan.onlyOthers, withIDs: plan.withIDs)
                        } catch {
                            throw Failure(description: "\(node): \(error)")
                        }
                    }
                }
                for try await client in group { clients.append(client) }
            }
        }
        return clients
    }

    /// All join at once. Returns how long it took until the last of them was told that it had.
    private func join(_ clients: [LoadClient]) async throws -> Duration {
        let start = ContinuousClock.now
        try await each(clients) { await $0.join() }
        return ContinuousClock.now - start
    }

    private func each(
        _ clients: [LoadClient], _ ask: @escaping @Sendable (LoadClient) async -> Bool
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in clients {
                group.addTask {
                    guard await ask(client) else {
                        throw Failure(description: "a node refused to make or to join a room, or closed the connection")
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// Sends at the plan's rate, the members in turn, for so long. Returns how many were sent.
    private func send(by clients: [LoadClient], for duration: Duration) async -> Int {
        let clock = ContinuousClock()
        let start = clock.now
        var sent = 0
        var beats = 0
        while clock.now - start < duration {
            let due = Int((clock.now - start) / .seconds(1) * plan.rate)
            while sent < due {
                clients[sent % clients.count].send()
                sent += 1
            }
            beats += 1
            // At a low rate the next message is not due at the next beat; at a high one a beat holds many.
            do { try await clock.sleep(until: start + Self.beat * beats) } catch { return sent }
        }
        return sent
    }
}
