import ArgumentParser
import Foundation
import ParleyClient

/// A node, for commands that speak to it as clients do.
struct NodeOption: ParsableArguments {
    @Option(help: "A node, or what balances between nodes (default: PARLEY_URL, else ws://127.0.0.1:8080/ws).")
    var url: String?

    /// - Parameter room: for a load balancer that sends a room to one node.
    func address(room: String) throws -> NodeAddress {
        let text = url ?? ProcessInfo.processInfo.environment["PARLEY_URL"] ?? "ws://127.0.0.1:8080/ws"
        guard var address = NodeAddress(text) else { throw fail("\(text): expected ws://host:port/ws", code: 64) }
        let id = room.addingPercentEncoding(withAllowedCharacters: .urlHostAllowed) ?? ""
        address.path += (address.path.contains("?") ? "&" : "?") + "room=\(id)"
        return address
    }
}
