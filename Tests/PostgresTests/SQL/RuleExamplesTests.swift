import ParleyCore
import TestPostgres
import Testing

@testable import ParleyPostgres

/// The complete examples of docs/examples, as they stand.
@Suite("Examples of rules", .heavy)
struct RuleExamplesTests {
    @Test("the chat refuses what is on its list, and who says too much at once, and nobody else")
    func politeChat() async throws {
        try await ScratchDatabase.use { database in
            try await database.runExample("polite-chat")
            try await database.run("INSERT INTO chat.unwanted_word VALUES ('damn')")
            try await database.withStore(adjust: patient) { store in
                let room = try await store.makeRoom("chat", rule: "polite")
                func say(_ texts: [String], from id: Int64) async throws -> AppendOutcome {
                    let messages = texts.map { text in
                        let parts = text.split(separator: ">", maxSplits: 1)
                        return "\(parts[0])>{\"text\":\"\(parts[1])\"}"
                    }
                    return try unwrap(try await store.append([ruled(messages, in: room, from: id)]).first)
                }
                let first = try await say(["ann>hello", "ann>Damn!", "ann>damned", "bob>hi", "ann>damn-it"], from: 1)
                #expect(
                    first.letters == "axaax" && first.reasons == ["that is not said here", "that is not said here"])
                let second = try await say(["ann>one", "ann>two", "bob>one", "ann>three", "bob>two"], from: 6)
                #expect(second.letters == "axaxa", "five at once, also those that were refused")
                #expect(second.reasons == Array(repeating: "not so fast: one message in two seconds", count: 2))
                try await database.run("UPDATE chat.allowance SET at = at - interval '2 s'")
                #expect(try await say(["ann>four", "ann>five"], from: 11).letters == "ax", "one in two seconds")
                let other = try await store.append([
                    ruled(["1", #"set {"a":1}"#, #"cyd>{"text":7}"#], in: room, from: 13)
                ])
                #expect(other.first?.reasons.first == "say something: {\"text\":\"...\"}")
                #expect(try await database.values(of: "chat") == [:])
            }
        }
    }

    @Test("the server decides who owns a cell: who comes first, and who has two cells beside it")
    func boardGame() async throws {
        try await ScratchDatabase.use { database in
            try await database.runExample("board-game")
            try await database.withStore(adjust: patient) { store in
                let room = try await store.makeRoom("game", rule: "board")
                func take(_ x: String, _ y: String, _ color: String = "red", by client: String) -> String {
                    #"\#(client)>{"take":{"x":\#(x),"y":\#(y),"color":"\#(color)"}}"#
                }
                let outcome = try unwrap(
                    try await store.append([
                        ruled(
                            [
                                take("1", "1", by: "ann"), take("1", "1", by: "bob"), take("0", "1", by: "bob"),
                                take("1", "0", "blue", by: "bob"), take("1", "1", "green", by: "bob"),
                                take("1", "1", by: "ann"), take("1", "1", "yellow", by: "bob"),
                            ], in: room)
                    ]).first)
                #expect(outcome.letters == "rxrrrxr")
                #expect(outcome.reasons.first == "1,1 is the cell of ann: have two cells beside it first")
                let cell = try unwrap(try await database.values(of: "game")["1,1"])
                #expect(cell.contains(#""owner" : "bob""#) && cell.contains("yellow"))
                let bad = [
                    take("16", "0", by: "ann"), take("-1", "0", by: "ann"), take("1e300", "0", by: "ann"),
                    take("0", "0", "pink", by: "ann"), take("\"0\"", "0", by: "ann"), "ann>{}", "ann>[1]", "ann>null",
                    #"ann>{"take":7}"#, #"ann>set {"1,1":{"owner":"ann","color":"red"}}"#,
                ]
                let refused = try unwrap(try await store.append([ruled(bad, in: room, from: 20)]).first)
                #expect(refused.letters == String(repeating: "x", count: bad.count))
                #expect(!refused.reasons.contains("the room's rule failed"), "\(refused.reasons)")

                #expect(try await database.text("SELECT parley.values_at('game', 1) -> '1,1' ->> 'owner'") == "ann")
            }
        }
    }
}
