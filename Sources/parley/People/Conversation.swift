import Foundation
import NIOCore
import ParleyClient

/// A socket to a node for a person at a terminal: frames out, frames in, one after the other.
struct Conversation: Sendable {
    /// Frames that may wait to be shown; beyond it the newest are dropped, which the next update's `from` shows.
    private static let framesMax = 10_000
    /// How long a node may take to answer.
    private static let patience = Duration.seconds(10)

    private let connection: ClientConnection
    let frames: AsyncStream<ServerFrameText>

    /// One frame, as far as a terminal cares.
    struct ServerFrameText: Decodable, Sendable {
        struct State: Decodable, Sendable {
            struct Change: Decodable, Sendable {
                var clientId: String?
                var id: Int64?
                var message: Payload?
            }
            var from: Int64
            var changes: [Change]
        }
        var method: String
        var clientId: String?
        var id: Int64?
        var code: String?
        var reason: String?
        var state: State?
    }

    static func open(_ address: NodeAddress) async throws -> Conversation {
        let (frames, feed) = AsyncStream.makeStream(
            of: ServerFrameText.self, bufferingPolicy: .bufferingOldest(framesMax))
        do {
            let connection = try await ClientConnection.open(address) { text in
                do {
                    feed.yield(try JSONDecoder().decode(ServerFrameText.self, from: Data(text.readableBytesView)))
                } catch {
                    FileHandle.standardError.write(Data("parley: a frame could not be read: \(error)\n".utf8))
                }
            } onClose: { _ in
                feed.finish()
            }
            return Conversation(connection: connection, frames: frames)
        } catch {
            throw fail("\(address): \(ConnectFailure(error)); is a node running there? (--url)", code: 69)
        }
    }

    func send(_ members: [String: any Sendable]) throws {
        let data = try JSONSerialization.data(withJSONObject: members, options: [.fragmentsAllowed])
        connection.send(String(decoding: data, as: UTF8.self))
    }

    func close() async { await connection.close() }

    /// Stops the program when the node has not answered in time.
    static func withPatience<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws
        -> Value
    {
        try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: patience)
                throw fail("the node has not answered within \(patience)", code: 69)
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw CancellationError() }
            return first
        }
    }
}
