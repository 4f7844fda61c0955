import ArgumentParser
import Foundation

struct Tail: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show a room's messages as they come, like `tail -f`. It counts as a member meanwhile.")

    @Argument(help: "The room's id.")
    var room: String
    @OptionGroup var node: NodeOption
    @Option(name: [.customShort("n"), .long], help: "How many of the newest messages to begin with.")
    var recent = 10

    func run() async throws {
        let conversation = try await Conversation.open(try node.address())
        try conversation.send([
            "method": "join", "id": 1, "roomId": room, "recent": recent, "presence": false,
            "profile": ["name": "parley tail"],
        ])
        for await frame in conversation.frames {
            switch frame.method {
            case "error": throw fail("\(room): \(frame.reason ?? frame.code ?? "refused")", code: 1)
            case "join", "update":
                guard let state = frame.state else { continue }
                for (index, change) in state.changes.enumerated() {
                    print("\(state.from + Int64(index))  \(change.clientId ?? "-")  \(change.message?.text ?? "")")
                }
            default: break
            }
        }
        throw fail("the node closed the connection", code: 69)
    }
}
