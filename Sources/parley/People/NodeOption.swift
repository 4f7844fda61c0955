import ArgumentParser
import Foundation
import ParleyClient

/// A node, for commands that speak to it as clients do.
struct NodeOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A node, or what balances between nodes (default: PARLEY_URL, else ws://127.0.0.1:8080/ws).",
            discussion: "Given several times, `tail` goes on at another one when one is lost."))
    var url: [String] = []

    /// At least one.
    ///
    /// - Parameter room: for a load balancer that sends a room to one node.
    func addresses(room: String) throws -> [NodeAddress] {
        let given = url.isEmpty ? [ProcessInfo.processInfo.environment["PARLEY_URL"] ?? "ws://127.0.0.1:8080/ws"] : url
        let id = room.addingPercentEncoding(withAllowedCharacters: .urlHostAllowed) ?? ""
        return try given.map { text in
            guard var address = NodeAddress(text) else { throw fail("\(text): expected ws://host:port/ws", code: 64) }
            address.path += (address.path.contains("?") ? "&" : "?") + "room=\(id)"
            return address
        }
    }
}
