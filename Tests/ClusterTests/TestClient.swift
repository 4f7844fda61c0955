import Foundation
import NIOCore
import ParleyClient
import Testing

/// A client that keeps every frame, in order, and lets a test wait for what it expects of them.
actor TestClient {
    struct Gone: Error, CustomStringConvertible { let description: String }

    /// The longest that any test waits for a frame.
    static let patience = Duration.seconds(20)

    private(set) var frames: [JSON] = []
    private(set) var closeCode: Int??
    private var connection: ClientConnection?
    private var nextToExpect = 0
    private var waiter: CheckedContinuation<Void, Never>?

    private init() {}

    /// Connects and takes the `connect` frame.
    static func connect(to node: TestNode, session: String? = nil) async throws -> TestClient {
        let client = try await open(to: node, session: session)
        _ = try await client.expect { $0["method"]?.string == "connect" }
        return client
    }

    /// Connects, and does not wait until the session is there.
    static func open(to node: TestNode, session: String? = nil) async throws -> TestClient {
        let client = TestClient()
        let (frames, feed) = AsyncStream<String>.makeStream()
        let path = session.map { "/ws?session=\($0)" } ?? "/ws"
        let connection = try await ClientConnection.open(
            NodeAddress(host: "127.0.0.1", port: Int(node.port), path: path)
        ) { text in
            feed.yield(String(buffer: text))
        } onClose: { code in
            feed.yield("close \(code.map(String.init) ?? "")")
            feed.finish()
        }
        await client.become(connection, frames)
        return client
    }

    private func become(_ connection: ClientConnection, _ texts: AsyncStream<String>) {
        self.connection = connection
        Task {
            for await text in texts { self.take(text) }
        }
    }

    private func take(_ text: String) {
        if text.hasPrefix("close") {
            closeCode = .some(Int(text.dropFirst(6)))
        } else if let frame = try? JSON(text) {
            frames.append(frame)
        } else {
            Issue.record("not JSON: \(text)")
        }
        waiter?.resume()
        waiter = nil
    }

    var hello: JSON { frames[0] }
    var clientID: String { hello["clientId"]?.string ?? "" }
    var session: String { hello["session"]?.string ?? "" }

    func send(_ text: String) { connection?.send(text) }

    /// Leaves the socket without a word, as a lost network does.
    func drop() async { await connection?.drop() }

    func close() async { await connection?.close() }

    /// The first frame behind the one expected last that fits. What does not fit is passed over.
    @discardableResult
    func expect(_ fits: @Sendable (JSON) -> Bool) async throws -> JSON {
        let deadline = ContinuousClock.now + Self.patience
        while true {
            while nextToExpect < frames.count {
                defer { nextToExpect += 1 }
                if fits(frames[nextToExpect]) { return frames[nextToExpect] }
            }
            if let code = closeCode { throw Gone(description: "closed with \(code.map(String.init) ?? "no code")") }
            guard ContinuousClock.now < deadline else {
                throw Gone(description: "waited in vain; the newest frames: \(frames.suffix(3))")
            }
            await somethingNew(until: deadline)
        }
    }

    /// Waits until the socket is closed, and says with which code.
    func expectClose() async throws -> Int? {
        let deadline = ContinuousClock.now + Self.patience
        while closeCode == nil {
            guard ContinuousClock.now < deadline else {
                throw Gone(description: "the socket was not closed; the newest frames: \(frames.suffix(3))")
            }
            await somethingNew(until: deadline)
        }
        return closeCode ?? nil
    }

    /// Waits until this client has seen the room up to `seq`, and returns its changes: from the newest join on, by `seq`.
    func changes(of room: String, upTo seq: Int) async throws -> [Int: JSON] {
        let deadline = ContinuousClock.now + Self.patience
        while true {
            let seen = changesSeen(of: room)
            if seen.keys.max() ?? 0 >= seq { return seen }
            guard ContinuousClock.now < deadline else {
                throw Gone(description: "\(room) stands at \(seen.keys.max() ?? 0), not \(seq)")
            }
            await somethingNew(until: deadline)
        }
    }

    private func changesSeen(of room: String) -> [Int: JSON] {
        var seen: [Int: JSON] = [:]
        var end: Int?
        for frame in frames where frame["roomId"]?.string == room {
            guard let state = frame["state"], let from = state["from"]?.int, let to = state["to"]?.int,
                let changes = state["changes"]?.array
            else { continue }
            #expect(changes.count == to - from + 1)
            if frame["method"]?.string == "update", let end { #expect(from == end + 1, "a hole or an overlap") }
            for (index, change) in changes.enumerated() { seen[from + index] = change }
            end = to
        }
        return seen
    }

    private func somethingNew(until deadline: ContinuousClock.Instant) async {
        let alarm = Task {
            try await Task.sleep(until: deadline)
            self.wake()
        }
        await withCheckedContinuation { waiter = $0 }
        alarm.cancel()
    }

    private func wake() {
        waiter?.resume()
        waiter = nil
    }
}

extension TestClient {
    func create(_ room: String? = nil) async throws -> String {
        send(#"{"method":"create","id":1\#(room.map { #","roomId":"\#($0)""# } ?? "")}"#)
        let reply = try await expect { $0["method"]?.string == "create" }
        return try #require(reply["roomId"]?.string)
    }

    @discardableResult
    func join(_ room: String, _ more: String = "") async throws -> JSON {
        send(#"{"method":"join","id":2,"roomId":"\#(room)"\#(more)}"#)
        return try await expect { $0["method"]?.string == "join" && $0["state"] != nil && $0["roomId"]?.string == room }
    }

    func say(_ text: String, in room: String, id: Int? = nil) {
        let id = id.map { #""id":\#($0),"# } ?? ""
        send(#"{"method":"message",\#(id)"roomId":"\#(room)","message":"\#(text)"}"#)
    }
}
