import ArgumentParser
import Foundation
import UnixSignals

struct Tail: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show a room's messages as they come, like `tail -f`. It counts as a member meanwhile.",
        discussion: "Ends with 0 when it is told to (Control-C), and with 69 when the connection does.")

    @Argument(help: "The room's id.")
    var room: String
    @OptionGroup var node: NodeOption
    @Option(name: [.customShort("n"), .long], help: "How many of the newest messages to begin with.")
    var recent = 10

    func run() async throws {
        let conversation = try await Conversation.open(try node.address(room: room))
        try conversation.send([
            "method": "join", "id": 1, "roomId": room, "recent": recent, "presence": false,
            "profile": ["name": "parley tail"],
        ])
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        try await withThrowingTaskGroup { group in
            group.addTask { try await show(conversation) }
            group.addTask { for await _ in signals { return } }
            try await group.next()
            group.cancelAll()
        }
        await conversation.close()
    }

    private func show(_ conversation: Conversation) async throws {
        for await frame in conversation.frames {
            switch frame.method {
            case "error": throw fail("\(room): \(frame.reason ?? frame.code ?? "refused")", code: 1)
            case "join", "update":
                guard let state = frame.state else { continue }
                for (index, change) in state.changes.enumerated() {
                    let place = state.from + Int64(index)
                    let line = "\(place)  \(change.clientId ?? "-")  \(change.message?.text ?? "")\n"
                    // Unbuffered, for a pipe behind it is to get each as it comes.
                    FileHandle.standardOutput.write(Data(line.utf8))
                }
            default: break
            }
        }
        if Task.isCancelled { return }
        throw fail("the node closed the connection", code: 69)
    }
}
