import NIOCore
import ParleyCore

/// Does what the machine decides: sockets, alarms, answers. Lives on one event loop.
final class ClientShell {
    private struct Alarm {
        var due: NIODeadline
        var scheduled: Scheduled<Void>
        var ringsAt: NIODeadline
    }

    private var machine: ClientMachine
    private let loop: any EventLoop
    private let handlers: ClientHandlers
    private var connection: ClientConnection?
    /// Number of the newest; 0 when it has ended.
    private var socket = 0
    /// What a node said before the connection was handed over; bounded by how short that is.
    private var early: [ByteBuffer] = []
    private var alarms: [ClientAlarm: Alarm] = [:]
    private var answers: [Int: @Sendable (Result<ClientAnswer, ClientError>) -> Void] = [:]
    private var rooms: [RoomID: @Sendable (RoomEvent) -> Void] = [:]
    private var newestRequest = 0

    init(_ machine: ClientMachine, loop: any EventLoop, handlers: ClientHandlers) {
        self.machine = machine
        self.loop = loop
        self.handlers = handlers
    }

    var session: String? { machine.session }

    // MARK: - From the caller

    func start() { perform(machine.start()) }

    func create(
        _ room: RoomID, meta: String?, rule: RoomID?,
        then: @escaping @Sendable (Result<ClientAnswer, ClientError>) -> Void
    ) {
        perform(machine.create(room, meta: meta, rule: rule, request: expect(then)))
    }

    func join(
        _ room: RoomID, _ wish: JoinWish, onEvent: @escaping @Sendable (RoomEvent) -> Void,
        then: @escaping @Sendable (Result<ClientAnswer, ClientError>) -> Void
    ) {
        guard rooms[room] == nil else { return then(.failure(.inRoomAlready)) }
        rooms[room] = onEvent
        perform(machine.join(room, wish, request: expect(then)))
    }

    func send(
        _ message: String, to room: RoomID, then: @escaping @Sendable (Result<ClientAnswer, ClientError>) -> Void
    ) {
        perform(machine.send(message, to: room, request: expect(then)))
    }

    func pause(_ room: RoomID, _ isPaused: Bool) { perform(machine.pause(room, isPaused)) }

    func leave(_ room: RoomID, then: @escaping @Sendable (Result<ClientAnswer, ClientError>) -> Void) {
        perform(machine.leave(room, request: expect(then)))
    }

    /// Returns the connection that is being closed, if there is one.
    func close() -> ClientConnection? {
        let last = connection
        perform(machine.close())
        return last
    }

    /// As a lost network does; the machine goes on elsewhere.
    func drop() {
        let lost = socket
        connection?.abandon()
        (socket, connection) = (0, nil)
        perform(machine.socketEnded(lost, code: nil))
    }

    private func expect(_ then: @escaping @Sendable (Result<ClientAnswer, ClientError>) -> Void) -> Int {
        newestRequest += 1
        answers[newestRequest] = then
        return newestRequest
    }

    // MARK: - From the socket

    private func opened(_ number: Int, _ connection: ClientConnection) {
        guard number == socket else { return connection.abandon() }
        self.connection = connection
        let texts = early
        early = []
        for text in texts { received(text, number) }
    }

    private func received(_ text: ByteBuffer, _ number: Int) {
        guard number == socket else { return }
        guard connection != nil else { return early.append(text) }
        perform(machine.received(text, socket: number))
    }

    private func ended(_ number: Int, _ code: Int?, because reason: String? = nil) {
        guard number == socket else { return }
        (socket, connection) = (0, nil)
        perform(machine.socketEnded(number, code: code, because: reason))
    }

    // MARK: - Doing

    private func perform(_ actions: [ClientAction]) {
        var texts: [ByteBuffer] = []
        for action in actions {
            if case .send(let text) = action {
                texts.append(text)
                continue
            }
            flush(&texts)
            switch action {
            case .send: break
            case .open(let socket, let address, let session): open(socket, address, session)
            case .drop:
                connection?.abandon()
                (socket, connection) = (0, nil)
            case .finish: connection?.finish()
            case .alarm(let name, let wait): set(name, wait)
            case .silence(let name): alarms.removeValue(forKey: name)?.scheduled.cancel()
            case .state(let state): handlers.onState(state)
            case .event(let room, let event):
                let handler = rooms[room]
                if case .ended = event { rooms[room] = nil }
                handler?(event)
            case .settle(let request, let result): answers.removeValue(forKey: request)?(result)
            case .violation(let text): handlers.onViolation(text)
            }
        }
        flush(&texts)
    }

    private func flush(_ texts: inout [ByteBuffer]) {
        guard !texts.isEmpty else { return }
        connection?.send(texts)
        texts = []
    }

    private func open(_ number: Int, _ address: NodeAddress, _ session: String?) {
        socket = number
        early = []
        connection = nil
        let this = NIOLoopBound(self, eventLoop: loop)
        let loop = loop
        Task {
            do {
                let connection = try await ClientConnection.open(address, session: session, group: loop) { text in
                    this.value.received(text, number)
                } onClose: { code in
                    this.value.ended(number, code)
                }
                loop.execute { this.value.opened(number, connection) }
            } catch {
                let reason = ConnectFailure(error).description
                loop.execute { this.value.ended(number, nil, because: reason) }
            }
        }
    }

    // MARK: - Alarms

    /// Set again for later, as with every frame, an alarm costs nothing: it looks at the clock when it rings.
    private func set(_ name: ClientAlarm, _ wait: Wait) {
        let due = NIODeadline.now() + .milliseconds(Int64.random(in: wait.least...max(wait.least, wait.most)))
        if let alarm = alarms[name], alarm.ringsAt <= due {
            alarms[name]?.due = due
            return
        }
        alarms[name]?.scheduled.cancel()
        schedule(name, due)
    }

    private func schedule(_ name: ClientAlarm, _ due: NIODeadline) {
        let this = NIOLoopBound(self, eventLoop: loop)
        let scheduled = loop.scheduleTask(deadline: due) { this.value.rang(name) }
        alarms[name] = Alarm(due: due, scheduled: scheduled, ringsAt: due)
    }

    private func rang(_ name: ClientAlarm) {
        guard let alarm = alarms[name] else { return }
        guard alarm.due <= .now() else { return schedule(name, alarm.due) }
        alarms[name] = nil
        perform(machine.rang(name))
    }
}
