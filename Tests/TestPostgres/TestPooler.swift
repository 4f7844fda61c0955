import Foundation
import ParleyCluster

/// PgBouncer in transaction mode in front of a server: each transaction may have another session, and none keeps anything
/// of it. (Without the reset a notification now and then finds its way by chance.)
public final class TestPooler: Sendable {
    struct NotThere: Error, CustomStringConvertible {
        let description = "there is no pgbouncer here: deploy/install tests installs it"
    }

    private static let startBound = Duration.seconds(20)

    private let process: Process
    private let port: UInt16

    /// - Parameter url: of the server, as `TestPostgres` gives it.
    public init(before url: String) async throws {
        guard let program = Command.find("pgbouncer") else { throw NotThere() }
        let server = URLComponents(string: url)
        port = try TCPPort.free()
        let folder = try TestPostgres.makeFolder("pooler")
        let configuration = """
            [databases]
            * = host=127.0.0.1 port=\(server?.port ?? 0) user=\(server?.user ?? "")
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = \(port)
            unix_socket_dir =
            auth_type = any
            pool_mode = transaction
            default_pool_size = 3
            server_reset_query = DISCARD ALL
            server_reset_query_always = 1
            ignore_startup_parameters = extra_float_digits,options
            \(getuid() == 0 ? "user = nobody" : "")

            """
        let file = "\(folder)/pgbouncer.ini"
        try Data(configuration.utf8).write(to: URL(fileURLWithPath: file))
        process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["-q", file]
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        let end = ContinuousClock.now + Self.startBound
        while TCPPort.isFree(port), ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(10)) }
    }

    /// The same database, by the pooler.
    public func url(of url: String) -> String {
        var parts = URLComponents(string: url)
        parts?.port = Int(port)
        return parts?.string ?? url
    }

    /// At once, whoever is connected.
    public func stop() { kill(process.processIdentifier, SIGKILL) }
}
