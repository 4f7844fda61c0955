import ArgumentParser
import ParleyCore

@main
struct Parley: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "parley",
        abstract: "Real-time rooms over WebSocket, kept in PostgreSQL.",
        discussion: """
            `parley cluster up` starts a whole cluster on this machine to try; `parley serve` is one node of a real one.
            """,
        version: "parley \(parleyVersion)",
        subcommands: [
            Serve.self, Migrate.self, ClusterCommand.self, Tail.self, Send.self, Rooms.self, Nodes.self, Load.self,
        ])
}
