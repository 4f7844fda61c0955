import Foundation
import Testing

/// The machines of the hub under random interleavings of commits, losses, reconnects, pauses and crashes, with a model of
/// what must be true. `PARLEY_SEED` replays one run and prints all that happened in it.
@Suite("Simulation")
struct SimulationTests {
    private static let seed = ProcessInfo.processInfo.environment["PARLEY_SEED"].flatMap { UInt64($0) }
    /// In each of two parts: what a debug build does in about ten seconds. `PARLEY_SEEDS` asks for another number.
    private static let runs = ProcessInfo.processInfo.environment["PARLEY_SEEDS"].flatMap { UInt64($0) } ?? 600

    @Test("without faults, one node and one room: all is applied and shown")
    func calm() {
        let world = World(seed: 1, plan: .calm(), isTracing: true)
        let failure = world.run()
        #expect(failure == nil, "\(world.schedule.trace.suffix(40).joined(separator: "\n"))")
        #expect(world.oracle.appliedCount > 10)
    }

    @Test("the same seed is the same run")
    func isRepeatable() {
        let (one, other) = (World(seed: 7), World(seed: 7))
        _ = (one.run(), other.run())
        #expect(one.schedule.fingerprint == other.schedule.fingerprint)
    }

    @Test("with all faults, the promises hold", arguments: 0..<2)
    func faults(part: UInt64) async {
        if let seed = Self.seed {
            if part == 0 { replay(seed) }
            return
        }
        let base = UInt64.random(in: 0...UInt64.max)
        print("PARLEY_SEED=\(base), and those after it")
        for offset in 0..<Self.runs {
            // There are few threads, and all other tests wait for one meanwhile.
            await Task.yield()
            let seed = base &+ offset
            if let failure = World(seed: seed).run() {
                print("run \(offset + 1) fails")
                Issue.record("PARLEY_SEED=\(seed): \(failure)")
                replay(seed)
                return
            }
        }
    }

    private func replay(_ seed: UInt64) {
        let world = World(seed: seed, isTracing: true)
        let failure = world.run()
        print(world.schedule.trace.joined(separator: "\n"))
        print("fingerprint \(world.schedule.fingerprint), applied \(world.oracle.appliedCount)")
        #expect(failure == nil, "PARLEY_SEED=\(seed)")
    }
}
