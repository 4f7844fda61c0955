import ArgumentParser
import Foundation
import TestFaults

@main
struct ParleyFaults: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "parley-faults",
        abstract: "Let clients speak on a cluster that suffers random faults, and check every promise afterwards.",
        discussion: "The same seed gives the same faults at the same times. Exits with 1 when a promise was broken.")

    @Option(help: "The parley to run as nodes.")
    var parley: String
    @Option(help: "An empty folder for data, logs and records.")
    var folder: String
    @Option(help: "Chooses the faults (default: a random one).")
    var seed: UInt64?
    @Option(help: "How many faults.")
    var faults = 300
    @Option(help: "Milliseconds from one fault to the next, on average.")
    var pace = 2_500
    @Option(help: "Only faults whose kind begins so, for example 'node killed' or 'database'.")
    var only: String?
    @Option(help: "Messages a second, all clients together.")
    var rate = 2_000.0
    @Option(help: "Nodes.")
    var nodes = 3
    @Option(help: "How nodes learn of each other's work: notify or poll.")
    var feed = "notify"
    @Option(help: "Rooms.")
    var rooms = 20
    @Option(help: "How many of the rooms have a rule, whose own notes are compared with the log.")
    var ruledRooms = 5
    @Option(help: "Clients in each room.")
    var members = 4

    func validate() throws {
        guard faults >= 0, pace > 0, rate > 0, (1...20).contains(nodes), (1...1_000).contains(rooms),
            (1...1_000).contains(members), ruledRooms >= 0, ["notify", "poll"].contains(feed)
        else { throw ValidationError("an option is out of its range") }
    }

    /// At once, also into a file.
    @Sendable private static func say(_ text: String) { FileHandle.standardOutput.write(Data("\(text)\n".utf8)) }

    func run() async throws {
        var run = FaultRun(
            executable: parley, folder: folder, seed: seed ?? UInt64.random(in: 0..<1_000_000_000))
        run.faults = faults
        run.pace = .milliseconds(pace)
        run.only = only
        run.rate = rate
        run.nodes = nodes
        run.feed = feed
        run.rooms = rooms
        run.ruledRooms = ruledRooms
        run.members = members
        Self.say("seed \(run.seed)")
        let report = try await run.run(progress: Self.say)
        Self.say(report.summary)
        guard report.violations.isEmpty else { throw ExitCode.failure }
    }
}
