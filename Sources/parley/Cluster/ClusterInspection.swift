import ArgumentParser
import Foundation
import ParleyCluster

struct ClusterStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show what runs where. The exit code is 0 only if all of it is ready.")

    @OptionGroup var place: ClusterPlace

    func run() async throws {
        try await place.run { cluster in
            let status = try await cluster.status()
            print(status.table)
            guard status.isAllReady else {
                throw LocalServiceError(.failed, "not all is ready: '\(place.next("up"))' starts what is missing")
            }
        }
    }
}

struct ClusterPsql: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "psql", abstract: "Open psql on the cluster's database.",
        usage: "parley cluster psql [--folder <folder>] [<psql's own arguments> ...]",
        discussion: "For example: parley cluster psql -c 'SELECT * FROM parley.messages'")

    @OptionGroup var place: ClusterPlace
    @Argument(parsing: .captureForPassthrough, help: "What psql takes: -c, -f, -A …")
    var arguments: [String] = []

    func run() async throws {
        if arguments == ["--help"] || arguments == ["-h"] { throw CleanExit.helpRequest(self) }
        try await place.run { cluster in
            let own = arguments.first == "--" ? Array(arguments.dropFirst()) : arguments
            try await cluster.psql(own).replaceThisProcess()
        }
    }
}
