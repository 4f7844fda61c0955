import ArgumentParser

struct Send: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send one text message to a room, and wait until it is durable.",
        discussion:
            "Prints the message's place in the room. The message is {\"text\": TEXT}, as the chat page sends it.")

    @Argument(help: "The room's id.")
    var room: String
    @Argument(help: "The text.")
    var text: String
    @OptionGroup var node: NodeOption
    @Flag(help: "Make the room if it does not exist.")
    var create = false

    func run() async throws {
        let conversation = try await Conversation.open(try node.addresses(room: room)[0])
        let (room, text, create) = (room, text, create)
        let seq = try await Conversation.withPatience {
            if create { try conversation.send(["method": "create", "id": 1, "roomId": room, "ifMissing": true]) }
            try conversation.send([
                "method": "join", "id": 2, "roomId": room, "recent": 0, "presence": false,
                "profile": ["name": "parley send"],
            ])
            try conversation.send(["method": "message", "id": 3, "roomId": room, "message": ["text": text]])
            var clientID: String?
            for await frame in conversation.frames {
                if frame.method == "connect" { clientID = frame.clientId }
                if frame.method == "error" {
                    throw fail("\(room): \(frame.reason ?? frame.code ?? "refused")", code: 1)
                }
                guard frame.method == "update", let state = frame.state else { continue }
                let own = state.changes.firstIndex { $0.clientId == clientID && $0.id == 3 }
                if let own { return state.from + Int64(own) }
            }
            throw fail("the node closed the connection", code: 69)
        }
        await conversation.close()
        print(seq)
    }
}
