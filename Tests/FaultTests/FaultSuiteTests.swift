import Foundation
import TestFaults
import TestPostgres
import Testing

/// A cluster that suffers. `deploy/faults` does the same for longer.
@Suite("Faults", .heavy)
struct FaultSuiteTests {
    @Test("whatever dies: one order, exactly once, no hole, for every client")
    func faults() async throws {
        let seed =
            ProcessInfo.processInfo.environment["PARLEY_FAULTS_SEED"].flatMap(UInt64.init)
            ?? UInt64.random(in: 0..<1_000_000_000)
        let folder = try TestPostgres.makeFolder("faults")
        var run = FaultRun(executable: Self.parley, folder: folder, seed: seed)
        run.rate = 400
        run.rooms = 12
        run.ruledRooms = 3
        print("faults: seed \(seed); PARLEY_FAULTS_SEED replays the plan")
        var report = try await run.run { _ in }
        if !report.violations.isEmpty { report.evidence = try keep(folder) }
        print(report.summary)
        #expect(report.violations.isEmpty, "\(report.summary)")
        #expect(report.messages > 5_000)
    }

    /// The folder of a test goes with its process; the evidence stays, without the database.
    private func keep(_ folder: String) throws -> String {
        let place = "\(FileManager.default.temporaryDirectory.path)/parley-faults-\(UInt32.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name != "postgres" {
            try FileManager.default.copyItem(atPath: "\(folder)/\(name)", toPath: "\(place)/\(name)")
        }
        return place
    }

    /// The executable that was built together with these tests.
    private static let parley = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("parley").path
}
