import NIOCore
import ParleyClient
import ParleyCore
import Testing

/// A machine under test, told one event after the other. What it wants done is compared as short lines.
struct Script {
    static let heartbeat = "alarm link 10000"

    private var machine: ClientMachine
    private var socket = 0
    private var request = 0
    /// Set again with every frame: left out unless a test is about it.
    var showsHeartbeat = false

    init(_ names: [String] = ["a", "b", "c"], session: String? = nil) {
        machine = ClientMachine(addresses: names.map { NodeAddress(host: $0, port: 1) }, session: session)
    }

    /// On its first socket, in the room `r` of four changes.
    static func joined(recent: Int = 50, location: SourceLocation = #_sourceLocation) throws -> Script {
        var client = Script()
        client.start()
        client.connects()
        client.joins("r")
        client.hears(
            Frames.joinReply(lastID: 0, from: 1, to: 4), location: location,
            ["settle 1 joined", "r joined 1...4"])
        return client
    }

    var session: String? { machine.session }

    // MARK: - Events

    mutating func start(_ expected: [String]? = nil, location: SourceLocation = #_sourceLocation) {
        compare(machine.start(), expected, location)
    }

    mutating func hears(_ frame: String, location: SourceLocation = #_sourceLocation, _ expected: [String]) {
        compare(machine.received(ByteBuffer(string: frame), socket: socket), expected, location)
    }

    mutating func reads(_ frame: String) -> [String] {
        machine.received(ByteBuffer(string: frame), socket: socket).map(Self.line)
    }

    /// Of a socket that was given up.
    mutating func hearsLate(_ frame: String, location: SourceLocation = #_sourceLocation) {
        compare(machine.received(ByteBuffer(string: frame), socket: socket - 1), [], location)
    }

    mutating func connects(
        client: String = "me", session: String = "s1", resumed: Bool = false, inFlight: Int = 256,
        _ expected: [String]? = nil, location: SourceLocation = #_sourceLocation
    ) {
        let frame = Frames.connect(client: client, session: session, resumed: resumed, inFlight: inFlight)
        compare(machine.received(ByteBuffer(string: frame), socket: socket), expected, location)
    }

    mutating func ends(_ code: Int?, _ expected: [String]? = nil, location: SourceLocation = #_sourceLocation) {
        compare(machine.socketEnded(socket, code: code), expected, location)
    }

    mutating func rings(_ expected: [String]? = nil, location: SourceLocation = #_sourceLocation) {
        compare(machine.rang(.link), expected, location)
    }

    /// The alarm of the room `r`.
    mutating func roomRings(_ expected: [String], location: SourceLocation = #_sourceLocation) {
        compare(machine.rang(.room(RoomID("r")!)), expected, location)
    }

    /// The alarm of the first request, a `create`.
    mutating func createRings(_ expected: [String], location: SourceLocation = #_sourceLocation) {
        compare(machine.rang(.create(1 << 52)), expected, location)
    }

    /// The socket is lost, and the next one is there.
    mutating func reconnects(
        client: String = "me", resumed: Bool = true, location: SourceLocation = #_sourceLocation, _ expected: [String]
    ) {
        ends(nil)
        rings()
        connects(client: client, session: "s2", resumed: resumed, expected, location: location)
    }

    mutating func creates(_ room: String, location: SourceLocation = #_sourceLocation, _ expected: [String]) {
        request += 1
        compare(machine.create(RoomID(room)!, request: request), expected, location)
    }

    mutating func joins(
        _ room: String, _ expected: [String]? = nil, wish: JoinWish = JoinWish(),
        location: SourceLocation = #_sourceLocation
    ) {
        request += 1
        compare(machine.join(RoomID(room)!, wish, request: request), expected, location)
    }

    mutating func says(
        _ text: String, _ expected: [String]? = nil, location: SourceLocation = #_sourceLocation
    ) {
        request += 1
        compare(machine.send("\"\(text)\"", to: RoomID("r")!, request: request), expected, location)
    }

    mutating func leaves(_ expected: [String]? = nil, location: SourceLocation = #_sourceLocation) {
        request += 1
        compare(machine.leave(RoomID("r")!, request: request), expected, location)
    }

    mutating func pauses(_ isPaused: Bool, location: SourceLocation = #_sourceLocation, _ expected: [String]) {
        compare(machine.pause(RoomID("r")!, isPaused), expected, location)
    }

    mutating func closes(location: SourceLocation = #_sourceLocation, _ expected: [String]) {
        compare(machine.close(), expected, location)
    }

    // MARK: - What it wants done

    private mutating func compare(_ actions: [ClientAction], _ expected: [String]?, _ location: SourceLocation) {
        for case .open(let socket, _, _) in actions { self.socket = socket }
        guard let expected else { return }
        let lines = actions.map(Self.line).filter { showsHeartbeat || $0 != Self.heartbeat }
        #expect(lines == expected, sourceLocation: location)
    }

    private static func line(_ action: ClientAction) -> String {
        switch action {
        case .open(let socket, let address, let session):
            "open \(socket) \(address.host)\(session.map { " as \($0)" } ?? "")"
        case .send(let text): short(String(buffer: text))
        case .drop: "drop"
        case .finish: "finish"
        case .alarm(let name, let wait):
            "alarm \(name.name) \(wait.least == wait.most ? "\(wait.most)" : "\(wait.least)...\(wait.most)")"
        case .silence(let name): "silence \(name.name)"
        case .state(let state):
            switch state {
            case .connecting(let address): "connecting \(address.host)"
            case .open(let node, let client, let isResumed): "open \(node) \(client)\(isResumed ? " resumed" : "")"
            case .waiting(let reason): "waiting: \(reason)"
            case .closed(let end): "closed \(end)"
            }
        case .event(let room, let event):
            switch event {
            case .joined(let state): "\(room) joined \(state.from)...\(state.to)"
            case .changes(let changes): "\(room) \(changes.map { "\($0.seq)" }.joined(separator: " "))"
            case .reset(let state): "\(room) \(state.isDiverged ? "diverged" : "reset") \(state.from)...\(state.to)"
            case .members(let news): "\(room) \(Self.describe(news))"
            case .ended(let end): "\(room) ended \(end)"
            }
        case .settle(let request, .success(let answer)):
            switch answer {
            case .durable(let seq): "settle \(request) \(seq.map { "at \($0)" } ?? "somewhere")"
            case .created(let isNew): "settle \(request) created \(isNew)"
            case .joined: "settle \(request) joined"
            case .left: "settle \(request) left"
            }
        case .settle(let request, .failure(let error)): "settle \(request) \(error.name)"
        case .violation(let text): "violation \(text)"
        }
    }

    private static func describe(_ news: RosterNews) -> String {
        let parts = [("+", news.joined), ("-", news.left), ("=", news.all ?? [])].filter { !$0.1.isEmpty }
        return (parts.map { "\($0.0) \($0.1.joined(separator: " "))" } + ["(\(news.count))"]).joined(separator: " ")
    }

    /// A frame without what all frames have, and request ids counted from 1.
    private static func short(_ frame: String) -> String {
        var text = frame.replacing(#"{"method":""#, with: "").replacing("\"", with: "").replacing("roomId:", with: "")
        for number in 0..<20 {
            text = text.replacing("id:\((Int64(1) << 52) + Int64(number)),", with: "#\(number + 1) ")
        }
        return "> " + text.replacing(",", with: " ").dropLast()
    }
}

extension ClientAlarm {
    fileprivate var name: String {
        switch self {
        case .link: "link"
        case .room(let room): "\(room)"
        case .create: "create"
        }
    }
}

extension ClientError {
    fileprivate var name: String {
        switch self {
        case .refused(let code, _): code
        case .outcomeUnknown: "unknown"
        case .notSent: "not sent"
        case .cancelled: "cancelled"
        case .tooManyWaiting: "too many"
        case .badRoomID: "bad room"
        case .notInRoom: "not in room"
        case .inRoomAlready: "in room already"
        }
    }
}
