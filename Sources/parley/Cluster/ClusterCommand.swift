import ArgumentParser
import Foundation
import ParleyCluster

/// Runs a whole cluster on this machine.
struct ClusterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster",
        abstract: "A whole cluster on this machine: PostgreSQL, several nodes, and HAProxy in front of them.",
        discussion: """
            What it keeps is in the folder .parley below the current one: the database, logs, settings. The processes run on \
            after the command; 'down' ends them. Exit codes: 0 all is well, 1 something failed or is not running, 64 wrong \
            usage, 69 something needed is not there (a program, a port, the cluster itself).
            """,
        subcommands: [
            ClusterUp.self, ClusterStatusCommand.self, ClusterRestart.self, ClusterKill.self, ClusterPsql.self,
            ClusterDown.self,
        ])
}

/// What all of the cluster's commands take.
struct ClusterPlace: ParsableArguments {
    @Option(help: ArgumentHelp("Where the cluster keeps its data and logs (default: .parley).", valueName: "folder"))
    var folder: String?

    /// For tests of the cluster with a stand-in for the server.
    @Option(help: .private)
    var server: String?

    var cluster: LocalCluster {
        let environment = ProcessInfo.processInfo.environment
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return LocalCluster(
            folder: folder ?? LocalCluster.folderName,
            server: server ?? environment["PARLEY_CLUSTER_SERVER"] ?? own,
            say: { FileHandle.standardOutput.write(Data("\($0)\n".utf8)) })
    }

    /// How to type the next command for the same cluster.
    func next(_ command: String) -> String {
        "\(CommandLine.arguments.first ?? "parley") cluster \(command)" + (folder.map { " --folder \($0)" } ?? "")
    }

    /// Carries out a command, and turns its error into one clear message and an exit code.
    func run(_ body: (LocalCluster) async throws -> Void) async throws {
        do {
            try await body(cluster)
        } catch let error as LocalServiceError {
            let code: Int32 =
                switch error.kind {
                case .usage: 64
                case .unavailable: 69
                case .failed: 1
                }
            throw fail(error.reason, code: code)
        }
    }
}
