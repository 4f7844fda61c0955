import NIOConcurrencyHelpers
public import NIOCore
public import NIOPosix
import ParleyCore

/// Who is told of a client, on its event loop.
public struct ClientHandlers: Sendable {
    public var onState: @Sendable (ClientState) -> Void
    /// A node did what the protocol forbids. The client goes on as well as it can.
    public var onViolation: @Sendable (String) -> Void

    public init(
        onState: @escaping @Sendable (ClientState) -> Void = { _ in },
        onViolation: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.onState = onState
        self.onViolation = onViolation
    }
}

/// A client of Parley: one session, kept over lost sockets and dead nodes.
///
/// ```swift
/// let client = ParleyClient.connect([NodeAddress(host: "127.0.0.1", port: 8080)])
/// let room = try await client.join("tea", profile: #"{"name":"Ann"}"#)
/// let seq = try await room.send("hello")
/// for await change in room.changes { … }
/// ```
public final class ParleyClient: Sendable {
    private let loop: any EventLoop
    private let shell: NIOLoopBoundBox<ClientShell>

    private init(loop: any EventLoop, shell: NIOLoopBoundBox<ClientShell>) {
        self.loop = loop
        self.shell = shell
    }

    /// Returns at once, and goes on trying until it is told to stop or a node forbids it. Requests wait meanwhile.
    ///
    /// - Parameters:
    ///   - addresses: nodes of one cluster, or what balances between them; tried in turn, the first one first. At least one.
    ///   - session: of an earlier client, to go on as; nil to begin anew.
    public static func connect(
        _ addresses: [NodeAddress], session: String? = nil, handlers: ClientHandlers = ClientHandlers(),
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) -> ParleyClient {
        let machine = ClientMachine(addresses: addresses, session: session)
        let loop = group.next()
        let client = ParleyClient(
            loop: loop,
            shell: .makeBoxSendingValue(ClientShell(machine, loop: loop, handlers: handlers), eventLoop: loop))
        client.tell { $0.start() }
        return client
    }

    /// Makes a room unless there is one of that id, and says whether it did: false also when an answer was lost and the
    /// request repeated.
    ///
    /// - Parameters:
    ///   - room: nil for a new, random id.
    ///   - meta: a JSON object, as text.
    ///   - rule: the name of the rule that is to judge what is said in it; names are made like ids of rooms.
    @discardableResult
    public func create(
        _ room: String? = nil, meta: String? = nil, rule: String? = nil
    ) async throws(ClientError) -> (id: String, isNew: Bool) {
        var generator = SystemRandomNumberGenerator()
        guard let id = room.map(RoomID.init) ?? RoomID.random(using: &generator) else { throw .badRoomID }
        let ruleID = rule.flatMap(RoomID.init)
        guard rule == nil || ruleID != nil else { throw .badRoomID }
        let answer = try await ask { shell, then in shell.create(id, meta: meta, rule: ruleID, then: then) }
        guard case .created(let isNew) = answer else { return (id.text, false) }
        return (id.text, isNew)
    }

    /// Returns once the client is a member. From then on it is one until it leaves, whatever happens to sockets and nodes.
    ///
    /// - Parameters:
    ///   - profile: shown to other members; JSON text.
    ///   - recent: how many of the newest changes to begin with.
    ///   - presence: whether to hear of members that come and go.
    ///   - onEvent: told of everything, on the client's event loop, in place of `ClientRoom.events`.
    public func join(
        _ room: String, profile: String? = nil, recent: Int = 50, presence: Bool = true,
        onEvent: (@Sendable (RoomEvent) -> Void)? = nil
    ) async throws(ClientError) -> ClientRoom {
        guard let id = RoomID(room) else { throw .badRoomID }
        let feed = RoomFeed { [weak self] isPaused in self?.tell { $0.pause(id, isPaused) } }
        let wish = JoinWish(profile: profile, recent: recent, presence: presence)
        do throws(ClientError) {
            _ = try await ask { shell, then in
                shell.join(id, wish, onEvent: onEvent ?? { feed.add($0) }, then: then)
            }
        } catch {
            // Nobody has the room, so nobody could leave it.
            if error == .cancelled { tell { $0.leave(id) { _ in } } }
            throw error
        }
        return ClientRoom(room: id, client: self, feed: feed)
    }

    /// Leaves all rooms and ends the session.
    public func close() async {
        let last = await withCheckedContinuation { continuation in
            tell { continuation.resume(returning: $0.close()) }
        }
        await last?.ended()
    }

    /// Leaves the socket as a lost network does, and goes on with a new one; for tests.
    public func drop() { tell { $0.drop() } }

    /// To go on with, in another client. Secret. nil until a node was reached.
    public var session: String? {
        get async {
            await withCheckedContinuation { continuation in tell { continuation.resume(returning: $0.session) } }
        }
    }

    // MARK: - The shell

    func tell(_ body: @escaping @Sendable (ClientShell) -> Void) {
        let shell = shell
        loop.execute { body(shell.value) }
    }

    func ask(
        _ body:
            @escaping @Sendable (ClientShell, @escaping @Sendable (Result<ClientAnswer, ClientError>) -> Void) -> Void
    ) async throws(ClientError) -> ClientAnswer {
        let waiting = NIOLockedValueBox<CheckedContinuation<Result<ClientAnswer, ClientError>, Never>?>(nil)
        // Whoever takes the continuation resumes it: the answer, or the cancellation.
        let end: @Sendable (Result<ClientAnswer, ClientError>) -> Void = { result in
            waiting.withLockedValue { $0.take() }?.resume(returning: result)
        }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                waiting.withLockedValue { $0 = continuation }
                tell { shell in body(shell, end) }
                if Task.isCancelled { end(.failure(.cancelled)) }
            }
        } onCancel: {
            end(.failure(.cancelled))
        }
        return try result.get()
    }
}
