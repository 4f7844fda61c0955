import ArgumentParser
import Foundation
import ParleyCluster

struct ClusterRestart: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restart", abstract: "Restart nodes, each ready before the next one ends; a dead one is started.")

    @OptionGroup var place: ClusterPlace
    @Argument(help: ArgumentHelp("Which: 2 or n2, one or several.", valueName: "N"))
    var nodes: [String]

    func run() async throws { try await place.run { try await $0.restart(nodes) } }
}

struct ClusterKill: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kill", abstract: "Kill nodes (SIGKILL), as a crash would.")

    @OptionGroup var place: ClusterPlace
    @Argument(help: ArgumentHelp("Which: 2 or n2, one or several.", valueName: "N"))
    var nodes: [String]

    func run() async throws {
        try await place.run {
            try await $0.kill(nodes)
            print("'\(place.next("restart \(nodes.joined(separator: " "))"))' starts it again")
        }
    }
}

struct ClusterDown: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down", abstract: "End the cluster: HAProxy, then the nodes, then PostgreSQL.")

    @OptionGroup var place: ClusterPlace
    @Flag(help: "Remove the data and the logs too.")
    var delete = false

    func run() async throws { try await place.run { try await $0.down(delete: delete) } }
}
