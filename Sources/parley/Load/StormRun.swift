import Foundation
import Histogram
import ParleyClient

/// What happens when a node dies on which many clients are: how long until each is back in its room on another node,
/// and has said something there that is durable.
struct StormRun: Sendable {
    /// Clients that connect at the same time, before the storm.
    private static let connectingMax = 64

    /// All clients begin at the first one.
    let nodes: [NodeAddress]
    /// The process of the first node: it is killed.
    let victim: Int32
    let rooms: Int
    /// Of each room.
    let members: Int
    /// Messages of each client beforehand: who comes back is looked up in the log.
    let messages: Int

    private struct Member: Sendable {
        let client: ParleyClient
        let room: ClientRoom
    }

    func run(progress: @Sendable (String) -> Void) async throws -> Histogram<UInt32> {
        let run = String(UInt32.random(in: .min ... .max), radix: 16)
        var all: [Member] = []
        let count = rooms * members
        for start in stride(from: 0, to: count, by: Self.connectingMax) {
            let some = start..<min(start + Self.connectingMax, count)
            all += try await withThrowingTaskGroup(of: Member.self) { group in
                for number in some { group.addTask { try await member(number, of: "storm-\(run)-\(number % rooms)") } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
        }
        try await each(all) { member in
            for number in 0..<messages { _ = try await member.room.send(["text": "before \(number)"]) }
        }
        progress("\(all.count) clients in \(rooms) rooms on one node, which is killed now")
        guard kill(victim, SIGKILL) == 0 else { throw fail("cannot kill the process \(victim)", code: 69) }
        let clock = ContinuousClock()
        let start = clock.now
        let times = try await withThrowingTaskGroup(of: Duration.self) { group in
            for member in all {
                group.addTask {
                    _ = try await member.room.send(["text": "back"])
                    return clock.now - start
                }
            }
            var times = Histogram<UInt32>(highestTrackableValue: 600_000_000, numberOfSignificantValueDigits: .three)
            for try await time in group { _ = times.record(UInt64(time / .microseconds(1))) }
            return times
        }
        try await each(all) { await $0.client.close() }
        return times
    }

    private func member(_ number: Int, of room: String) async throws -> Member {
        let others = nodes.dropFirst()
        let turned = others.indices.map { others[others.startIndex + ($0 + number) % others.count] }
        let client = ParleyClient.connect([nodes[0]] + turned)
        try await client.create(room)
        // Without `changes` being read they would pile up.
        return Member(client: client, room: try await client.join(room, recent: 0) { _ in })
    }

    private func each(_ members: [Member], _ body: @escaping @Sendable (Member) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for member in members { group.addTask { try await body(member) } }
            try await group.waitForAll()
        }
    }
}
