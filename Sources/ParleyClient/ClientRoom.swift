import Foundation
public import ParleyCore

/// A room that a client is in.
public final class ClientRoom: Sendable {
    private let room: RoomID
    private let client: ParleyClient
    private let feed: RoomFeed

    init(room: RoomID, client: ParleyClient, feed: RoomFeed) {
        self.room = room
        self.client = client
        self.feed = feed
    }

    public var id: String { room.text }

    /// Everything that happens in the room, for one reader. What a reader does not take stays with the nodes, and is fetched
    /// when it takes more.
    public var events: RoomEvents { RoomEvents(feed: feed) }

    /// The changes alone, for one reader: those that the room began with, then each that comes.
    public var changes: RoomChanges { RoomChanges(feed: feed) }

    /// Sends a message and returns its place in the room once it is durable: applied exactly once, whatever happens meanwhile.
    /// nil when it is durable and its place lies in a part of the log that this client did not get.
    @discardableResult
    public func send(_ message: some Encodable & Sendable) async throws -> Seq? {
        try await send(json: String(decoding: try JSONEncoder().encode(message), as: UTF8.self))
    }

    /// - Parameter json: JSON text, kept byte by byte.
    @discardableResult
    public func send(json: String) async throws(ClientError) -> Seq? {
        let answer = try await client.ask { [room] shell, then in shell.send(json, to: room, then: then) }
        guard case .durable(let seq) = answer else { return nil }
        return seq
    }

    /// The same without waiting. Messages of one caller go in the order of its calls.
    public func send(json: String, then: @escaping @Sendable (Result<Seq?, ClientError>) -> Void) {
        client.tell { [room] shell in
            shell.send(json, to: room) { result in
                then(
                    result.map { answer in
                        guard case .durable(let seq) = answer else { return nil }
                        return seq
                    })
            }
        }
    }

    /// Returns when the client is no member any more.
    public func leave() async throws(ClientError) {
        _ = try await client.ask { [room] shell, then in shell.leave(room, then: then) }
    }
}
