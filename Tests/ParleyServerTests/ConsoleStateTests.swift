import Foundation
import ParleyCore
import ParleyHub
import Testing

@testable import ParleyServer

@Suite("What a console is told")
struct ConsoleStateTests {
    private let own = ConsoleState.Own(
        uptimeMs: 1_500, sockets: 2, rooms: 1, changes: 7, batches: 3, updates: 6, waitingBytes: 0, waits: [1, 2])

    private func told(_ state: ConsoleState) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(state.json.utf8)) as? [String: Any])
    }

    @Test("of the node, of the database and of the cluster, with any name as text")
    func all() throws {
        var figures = DatabaseObservation.Figures()
        figures.echoSeconds = 0.002
        figures.statements = ["append": .init(count: 3, failures: 1), "read-log": .init(count: 2)]
        let name = #""</script>\"#
        let sight = ConsoleWatch.Sight(
            overview: Overview(
                at: 42,
                nodes: [
                    Overview.Node(
                        number: 1, name: name, address: nil, version: "1", isAlive: true, leaseLeftMs: 4_000, ageMs: 9,
                        batches: 3, members: 2)
                ],
                rooms: [Overview.Room(id: try #require(RoomID("tea")), lastSeq: 7, members: 2)]),
            took: .milliseconds(3), failure: nil)
        let told = try told(
            ConsoleState(node: "n1", version: "1", own: own, isReachable: true, database: figures, sight: sight))
        #expect(told["node"] as? String == "n1")
        #expect(told["everyMs"] as? Int == 1_000)
        #expect((told["boundsMs"] as? [Int])?.count == WaitHistogram.boundsMs.count)
        #expect((told["own"] as? [String: Any])?["waits"] as? [Int] == [1, 2])
        let database = try #require(told["database"] as? [String: Any])
        #expect(database["lookMs"] as? Double == 3)
        #expect(database["echoMs"] as? Double == 2)
        #expect(database["requests"] as? Int == 5)
        #expect(database["failures"] as? Int == 1)
        let cluster = try #require(told["cluster"] as? [String: Any])
        #expect((cluster["nodes"] as? [[String: Any]])?.first?["name"] as? String == name)
        #expect((cluster["nodes"] as? [[String: Any]])?.first?["leaseLeftMs"] as? Int == 4_000)
        #expect((cluster["rooms"] as? [[String: Any]])?.first?["id"] as? String == "tea")
        #expect(told["failure"] == nil)
    }

    @Test("without a database, and when it does not answer: no reason that could tell of it")
    func failure() throws {
        let sight = ConsoleWatch.Sight(
            overview: nil, took: .zero, failure: .unavailable(reason: "connection to 10.0.0.1 refused"))
        let told = try told(
            ConsoleState(node: "n1", version: "1", own: own, isReachable: false, database: nil, sight: sight))
        #expect(told["database"] == nil)
        #expect(told["cluster"] == nil)
        #expect(told["failure"] as? String == "the database does not answer")
    }
}
