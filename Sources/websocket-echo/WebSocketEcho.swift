import ArgumentParser
import Foundation
import NIOCore

/// Sends every message back: what outside test suites are run against.
@main
struct WebSocketEcho: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "websocket-echo", abstract: "Echo text and binary messages over WebSocket, on any path.")

    @Option(help: "Port to listen on; 0 takes a free one.") var port: Int
    @Option(help: "Address to listen on.") var host = "127.0.0.1"
    @Option(help: "Bigger messages end with 1009.") var maxMessageBytes = 16 * 1024 * 1024

    func validate() throws {
        guard (0...65535).contains(port) else { throw ValidationError("--port must be 0 to 65535") }
        guard maxMessageBytes > 0 else { throw ValidationError("--max-message-bytes must be positive") }
    }

    func run() async throws {
        let stop = StopSignals()
        let server: any Channel
        do {
            server = try await EchoServer.listen(host: host, port: port, messageBytesMax: maxMessageBytes)
        } catch {
            throw CannotListen(host: host, port: port, cause: "\(error)")
        }
        let line = "listening on \(host):\(server.localAddress?.port ?? port)\n"
        FileHandle.standardOutput.write(Data(line.utf8))
        await stop.first()
        try await server.close()
    }
}

struct CannotListen: Error, CustomStringConvertible {
    let host: String
    let port: Int
    let cause: String
    var description: String { "cannot listen on \(host):\(port): \(cause)" }
}
