import ArgumentParser
import Foundation
import ParleyClient
import ParleyCore

/// The load generator: members in rooms, messages at a rate, and how long each takes to reach every member.
struct Load: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put load on nodes and measure how long messages take.",
        discussion: """
            Members of each room are spread over the given nodes. Every message carries the time at which it was sent; each \
            member that gets it counts as one delivery. All clients are in this one process, so one clock is enough.
            """)

    @Option(help: "A node, ws://host:port/ws; give several to spread the members over them.")
    var url: [String] = ["ws://127.0.0.1:8080/ws"]
    @Option(help: "Rooms.")
    var rooms = 1
    @Option(help: "Members of each room.")
    var members = 2
    @Option(help: "Further members, spread over the rooms, that join and then read nothing.")
    var stalled = 0
    @Option(help: "How many members of each room send (default: all).")
    var senders: Int?
    @Option(help: "Messages a second, of all members together; 0 keeps them idle.")
    var rate = 10.0
    @Option(help: "Bytes of each message.")
    var size = 200
    @Option(help: "Seconds that are measured.")
    var seconds = 10.0
    @Option(help: "Seconds before that.")
    var warmup = 2.0
    @Flag(
        help: "Leave out what a member gets of its own messages: only the way to other members, and so to other nodes.")
    var others = false
    @Option(help: "Make the rooms with this rule. It has to accept texts: each message is one.")
    var rule: String?
    @Flag(help: "Messages without ids: the server keeps no mark of them.")
    var noIds = false
    @Flag(help: "No nodes: measure INSERT and NOTIFY until LISTEN hears, on --database-url, at --rate.")
    var bare = false
    @Option(
        help: ArgumentHelp(
            "Kill this process, the node of the first --url, on which all members are, and measure until each is back.",
            valueName: "pid"))
    var storm: Int32?
    @Flag(
        help: """
            No nodes: measure on --database-url what ids, fence and claims cost: batches of --rooms messages with them \
            and without. Leaves rooms behind.
            """)
    var safeguards = false
    @OptionGroup var database: DatabaseOption
    @Flag(help: "Print the figures as one line of JSON.")
    var json = false

    func validate() throws {
        guard (1...10_000).contains(rooms), (1...10_000).contains(members), rooms * members <= 50_000 else {
            throw ValidationError("--rooms times --members must be from 1 to 50,000")
        }
        guard (0...20_000).contains(stalled) else { throw ValidationError("--stalled must be from 0 to 20,000") }
        guard !safeguards || rooms <= 1_000 else { throw ValidationError("--safeguards takes up to 1,000 --rooms") }
        guard senders ?? 1 >= 1 else { throw ValidationError("--senders must be 1 or more") }
        guard rule.map({ RoomID($0) != nil }) ?? true else { throw ValidationError("--rule is no name of a rule") }
        guard rate >= 0, rate <= 1_000_000, (40...30_000).contains(size), seconds > 0, seconds <= 3_600, warmup >= 0
        else { throw ValidationError("--rate must be 0 to 1,000,000, --size 40 to 30,000, --seconds up to 3,600") }
    }

    func run() async throws {
        if bare {
            guard rate > 0 else { throw ValidationError("--bare needs a --rate") }
            let times = try await BareRun(url: try database.url(), rate: rate, measured: .seconds(seconds)).run()
            let report = BareReport(times: times)
            return print(json ? report.json : report.table)
        }
        if safeguards {
            let report = try await SafeguardRun(
                url: try database.url(), rooms: rooms, size: size, measured: .seconds(seconds)
            ).run()
            return print(json ? report.json : report.table)
        }
        let nodes = try url.map { text in
            guard let node = NodeAddress(text) else {
                throw ValidationError("--url \(text): expected ws://host:port/ws")
            }
            return node
        }
        if let storm {
            guard nodes.count > 1 else { throw ValidationError("--storm needs another --url to go to") }
            let run = StormRun(nodes: nodes, victim: storm, rooms: rooms, members: members, messages: 5)
            let report = StormReport(
                times: try await run.run { FileHandle.standardError.write(Data(($0 + "\n").utf8)) })
            return print(json ? report.json : report.table)
        }
        let plan = LoadPlan(
            nodes: nodes, rooms: rooms, members: members, stalled: stalled, rate: rate, size: size,
            senders: min(senders ?? members, members), onlyOthers: others, withIDs: !noIds, rule: rule,
            warmup: .seconds(warmup), measured: .seconds(seconds))
        let report: LoadReport
        do {
            report = try await LoadRun(plan).run { text in
                FileHandle.standardError.write(Data((text + "\n").utf8))
            }
        } catch let failure as LoadRun.Failure {
            throw fail(failure.description, code: 69)
        }
        print(json ? report.json : report.table)
    }
}
