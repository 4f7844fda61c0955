import Foundation
import NIOCore
import ParleyClient
import ParleyCore
import Testing

/// A machine that is told one step of a transcript after the other, and what it wants done, as transcripts have it.
struct TranscriptPlayer {
    let showsHeartbeat: Bool
    private var machine = ClientMachine(addresses: [NodeAddress(host: "node", port: 1)])
    private var socket = 0
    private var alarms: Set<String> = []

    init(showsHeartbeat: Bool) { self.showsHeartbeat = showsHeartbeat }

    mutating func play(_ input: JSON) throws -> [String] {
        let number = input["socket"]?.integer ?? socket
        if let call = input["call"]?.text { return try lines(of: perform(call, input)) }
        if let frame = input["frame"] {
            return try lines(of: machine.received(ByteBuffer(string: "\(frame)"), socket: number))
        }
        if let text = input["text"]?.text {
            return try lines(of: machine.received(ByteBuffer(string: text), socket: number))
        }
        if let name = input["alarm"]?.text {
            alarms.remove(name)
            return try lines(of: machine.rang(alarm(named: name)))
        }
        let code = try #require(input["closed"])
        return try lines(of: machine.socketEnded(number, code: code.integer))
    }

    private mutating func perform(_ call: String, _ input: JSON) throws -> [ClientAction] {
        let request = input["request"]?.integer ?? 0
        let room = input["room"]?.text.flatMap { RoomID($0) }
        switch call {
        case "start":
            let address = NodeAddress(host: "node", port: 1)
            machine = ClientMachine(addresses: [address], session: input["session"]?.text)
            return machine.start()
        case "close": return machine.close()
        case "create": return machine.create(try #require(room), request: request)
        case "join":
            let wish = JoinWish(
                profile: input["profile"]?.description, recent: input["recent"]?.integer ?? 50,
                presence: input["presence"] != .bool(false))
            return machine.join(try #require(room), wish, request: request)
        case "send":
            return machine.send(try #require(input["message"]).description, to: try #require(room), request: request)
        case "leave": return machine.leave(try #require(room), request: request)
        default: throw Unknown(description: "no such call: \(call)")
        }
    }

    private struct Unknown: Error, CustomStringConvertible { let description: String }

    private func alarm(named name: String) throws -> ClientAlarm {
        let parts = name.split(separator: " ").map(String.init)
        switch parts.first {
        case "link": return .link
        case "room": return .room(try #require(RoomID(parts[1])))
        default: return .create(try #require(Int64(parts[1])))
        }
    }

    // MARK: - What it wants done

    private mutating func lines(of actions: [ClientAction]) throws -> [String] {
        var lines: [String] = []
        for action in actions {
            guard let line = try line(of: action) else { continue }
            lines.append(line)
            if line == "closed taken_over" { lines.append("session \(machine.session ?? "null")") }
        }
        return lines
    }

    /// nil for what transcripts leave out: the heartbeat, which every frame sets anew; the end of an alarm that is not set; what a
    /// client writes to its log.
    private mutating func line(of action: ClientAction) throws -> String? {
        switch action {
        case .open(let socket, _, let session):
            self.socket = socket
            return "socket \(socket)\(session.map { " as \($0)" } ?? "")"
        case .send(let text): return "send \(try JSONDecoder().decode(JSON.self, from: Data(text.readableBytesView)))"
        case .drop: return "drop"
        case .finish: return "finish"
        case .alarm(let alarm, let wait):
            alarms.insert(alarm.name)
            let time = wait.least == wait.most ? "\(wait.most)" : "\(wait.least)...\(wait.most)"
            let line = "alarm \(alarm.name) \(time)"
            return line == Script.heartbeat && !showsHeartbeat ? nil : line
        case .silence(let alarm): return alarms.remove(alarm.name).map { "silence \($0)" }
        case .state(let state): return Self.line(of: state)
        // The other client has the whole roster in what it joined.
        case .event(_, .members(let news)) where news.joined.isEmpty && news.left.isEmpty: return nil
        case .event(let room, let event): return "\(room) \(Self.line(of: event))"
        case .settle(let request, .success(let answer)): return "settle \(request) \(Self.line(of: answer))"
        case .settle(let request, .failure(let error)): return "settle \(request) \(Self.code(of: error))"
        case .violation: return nil
        }
    }

    private static func line(of state: ClientState) -> String {
        switch state {
        case .connecting: "connecting"
        case .open(let node, let client, let isResumed): "open \(node) \(client)\(isResumed ? " resumed" : "")"
        case .waiting: "waiting"
        case .closed(.asked): "closed asked"
        case .closed(.takenOver): "closed taken_over"
        case .closed(.refused): "closed refused"
        case .closed(.notAdmitted): "closed not_admitted"
        }
    }

    private static func line(of event: RoomEvent) -> String {
        switch event {
        case .joined(let state): "joined \(state.from)...\(state.to)"
        case .changes(let changes): "changes \(changes.map { "\($0.seq)" }.joined(separator: " "))"
        case .reset(let state): "\(state.isDiverged ? "diverged" : "reset") \(state.from)...\(state.to)"
        case .members(let news):
            news.left.isEmpty
                ? "+ \(news.joined.joined(separator: " ")) (\(news.count))"
                : "- \(news.left.joined(separator: " ")) (\(news.count))"
        case .ended(.left): "ended left"
        case .ended(.removed): "ended removed"
        case .ended(.closed): "ended closed"
        case .ended(.refused): "ended refused"
        case .ended(.clientClosed): "ended client_closed"
        }
    }

    private static func line(of answer: ClientAnswer) -> String {
        switch answer {
        case .created(let isNew): "created \(isNew)"
        case .joined: "joined"
        case .left: "left"
        case .durable(let seq): seq.map { "at \($0)" } ?? "somewhere"
        }
    }

    private static func code(of error: ClientError) -> String {
        switch error {
        case .refused(let code, _): code
        case .outcomeUnknown: "outcome_unknown"
        case .notSent: "not_sent"
        case .cancelled: "cancelled"
        case .tooManyWaiting: "too_many_waiting"
        case .badRoomID: "bad_room_id"
        case .notInRoom: "not_in_room"
        case .inRoomAlready: "in_room_already"
        }
    }
}

extension ClientAlarm {
    fileprivate var name: String {
        switch self {
        case .link: "link"
        case .room(let room): "room \(room)"
        case .create(let id): "request \(id)"
        }
    }
}
