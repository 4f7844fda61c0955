import NIOCore
package import ParleyCore
import ParleyWire

extension NodeFrame {
    static func parse(_ text: ByteBuffer) throws(Unreadable) -> NodeFrame {
        // The pointer ends with the closure; what leaves it are values and slices of the buffer, which own their bytes.
        let result: Result<NodeFrame, Unreadable> = text.withUnsafeReadableBytes { raw in
            raw.withMemoryRebound(to: UInt8.self) { bytes in
                guard String(validating: bytes, as: UTF8.self) != nil else {
                    return .failure(Unreadable(description: "not UTF-8"))
                }
                var fields = FrameFields(text: text, bytes: bytes)
                do throws(JSONScanner.Fault) {
                    var scanner = JSONScanner(bytes)
                    try fields.read(&scanner)
                    scanner.skipSpace()
                    guard scanner.isAtEnd else { throw scanner.fault("nothing may follow the object") }
                } catch {
                    return .failure(Unreadable(description: "\(error.reason), at byte \(error.offset)"))
                }
                guard let frame = fields.frame else {
                    return .failure(Unreadable(description: "a member is missing in `\(fields.method ?? "")`"))
                }
                return .success(frame)
            }
        }
        return try result.get()
    }
}

extension Change {
    /// The changes of a stretch of a log as the database keeps it: as in a frame, without the brackets.
    package static func all(in body: String, from: Seq, to: Seq) throws(Unreadable) -> [Change] {
        let state = #"{"from":\#(from),"to":\#(to),"position":"\#(to)-0","changes":[\#(body)]}"#
        let frame = try NodeFrame.parse(ByteBuffer(string: #"{"method":"update","roomId":"log","state":\#(state)}"#))
        guard case .update(_, let state) = frame else { throw Unreadable(description: "no update") }
        return state.changes
    }
}

/// The members that any frame may have, of which each kind of frame needs some.
private struct FrameFields {
    let text: ByteBuffer
    /// Borrowed, valid while `parse` has it.
    let bytes: UnsafeBufferPointer<UInt8>

    private(set) var method: String?
    private var id: Int64?
    private var roomID: String?
    private var clientID: String?
    private var session: String?
    private var isResumed: Bool?
    private var node: String?
    private var heartbeatMs: Int64?
    private var graceMs: Int64?
    private var inFlightMax: Int64?
    private var frameBytesMax: Int64?
    private var isNew: Bool?
    private var count: Int64?
    private var lastID: Int64?
    private var refused: [Int64] = []
    private var state: RoomState?
    private var joined: [String]?
    private var left: [String]?
    private var clients: [String]?
    private var reason: String?
    private var code: String?
    private var isTemporary: Bool?
    private var retryMs: Int64?

    init(text: ByteBuffer, bytes: UnsafeBufferPointer<UInt8>) {
        self.text = text
        self.bytes = bytes
    }

    mutating func read(_ scanner: inout JSONScanner) throws(JSONScanner.Fault) {
        var fields = self
        try scanner.eachMember(of: bytes) { (scanner, name) throws(JSONScanner.Fault) in
            try fields.take(name, &scanner)
        }
        self = fields
    }

    private mutating func take(_ name: String, _ scanner: inout JSONScanner) throws(JSONScanner.Fault) {
        switch name {
        case "method": method = try scanner.text(of: bytes)
        case "id": id = try scanner.integer(of: bytes)
        case "roomId": roomID = try scanner.text(of: bytes)
        case "clientId": clientID = try scanner.text(of: bytes)
        case "session": session = try scanner.text(of: bytes)
        case "resumed": isResumed = try scanner.bool()
        case "node": node = try scanner.text(of: bytes)
        case "heartbeatMs": heartbeatMs = try scanner.integer(of: bytes)
        case "graceMs": graceMs = try scanner.integer(of: bytes)
        case "limits": try limits(&scanner)
        case "created": isNew = try scanner.bool()
        case "count": count = try scanner.integer(of: bytes)
        case "lastId": lastID = try scanner.integer(of: bytes)
        case "refused": refused = try integers(&scanner)
        case "state": state = try roomState(&scanner)
        case "joined": joined = try clientIDs(&scanner)
        case "left": left = try texts(&scanner)
        case "clients": clients = try clientIDs(&scanner)
        case "reason": reason = try scanner.text(of: bytes)
        case "code": code = try scanner.text(of: bytes)
        case "temporary": isTemporary = try scanner.bool()
        case "retryMs": retryMs = try scanner.integer(of: bytes)
        default: _ = try scanner.value()
        }
    }

    /// nil when something is missing.
    var frame: NodeFrame? {
        guard let method else { return nil }
        let room = roomID.flatMap { RoomID($0) }
        switch method {
        case "connect":
            guard let clientID, let session, let isResumed, let node, let heartbeatMs, let graceMs, let inFlightMax
            else { return nil }
            return .connect(
                NodeFrame.Connect(
                    clientID: clientID, session: session, isResumed: isResumed, node: node, heartbeatMs: heartbeatMs,
                    graceMs: graceMs, inFlightMax: Int(clamping: inFlightMax),
                    frameBytesMax: frameBytesMax.map { Int(clamping: $0) }))
        case "create":
            guard let room, let isNew else { return nil }
            guard let id else { return .other(method: method) }
            return .create(id: id, room: room, isNew: isNew)
        case "join":
            guard let room, let roster else { return nil }
            if joined != nil { return .members(room: room, roster) }
            guard let state else { return nil }
            guard let lastID else { return .copy(room: room, state, roster) }
            guard let id else { return .other(method: method) }
            return .joinReply(
                id: id, room: room,
                NodeFrame.JoinReply(roster: roster, lastID: lastID, refused: refused, state: state))
        case "leave":
            guard let room else { return nil }
            if left != nil { return roster.map { .members(room: room, $0) } }
            guard let reason, let lastID else { return nil }
            return .leave(id: id, room: room, reason: reason, lastID: lastID)
        case "update":
            guard let room, let state else { return nil }
            return .update(room: room, state)
        case "ack":
            guard let id, let room else { return nil }
            return .ack(id: id, room: room)
        case "error":
            guard let code, let reason, let isTemporary else { return nil }
            return .failure(
                id: id, room: room,
                NodeFrame.Failure(code: code, reason: reason, isTemporary: isTemporary, retryMs: retryMs))
        default:
            return .other(method: method)
        }
    }

    private var roster: RosterNews? {
        count.map { RosterNews(joined: joined ?? [], left: left ?? [], count: Int(clamping: $0), all: clients) }
    }

    // MARK: - Values

    private func slice(_ range: Range<Int>) -> ByteBuffer? {
        text.getSlice(at: text.readerIndex + range.lowerBound, length: range.count)
    }

    private func roomState(_ scanner: inout JSONScanner) throws(JSONScanner.Fault) -> RoomState {
        var state = RoomState(
            from: 0, to: -1, position: Position(seq: 0, tag: 0), changes: [], isReset: false, isDiverged: false)
        var position: Position?
        try scanner.eachMember(of: bytes) { (scanner, name) throws(JSONScanner.Fault) in
            switch name {
            case "from": state.from = try scanner.integer(of: bytes)
            case "to": state.to = try scanner.integer(of: bytes)
            case "position": position = Position(try scanner.text(of: bytes))
            case "changes":
                try scanner.eachElement { (scanner) throws(JSONScanner.Fault) in
                    state.changes.append(try change(&scanner))
                }
            case "values": state.values = slice(try scanner.value())
            case "versions": state.versions = slice(try scanner.value())
            case "reset": state.isReset = try scanner.bool()
            case "diverged": state.isDiverged = try scanner.bool()
            default: _ = try scanner.value()
            }
        }
        guard let position, position.seq == state.to, state.from >= 1,
            Int64(state.changes.count) == state.to - state.from + 1
        else { throw scanner.fault("`from`, `to`, `position` and `changes` do not fit each other") }
        state.position = position
        for index in state.changes.indices { state.changes[index].seq = state.from + Int64(index) }
        return state
    }

    private func change(_ scanner: inout JSONScanner) throws(JSONScanner.Fault) -> Change {
        var change = Change(seq: 0, text: ByteBuffer())
        let start = scanner.offset
        try scanner.eachMember(of: bytes) { (scanner, name) throws(JSONScanner.Fault) in
            switch name {
            case "clientId": change.clientID = try scanner.text(of: bytes)
            case "id": change.id = try scanner.integer(of: bytes)
            case "userId": change.userID = try scanner.text(of: bytes)
            case "at": change.at = try scanner.integer(of: bytes)
            case "message": change.message = slice(try scanner.value())
            case "set": change.set = slice(try scanner.value())
            default: _ = try scanner.value()
            }
        }
        change.text = slice(start..<scanner.offset) ?? ByteBuffer()
        return change
    }

    private func integers(_ scanner: inout JSONScanner) throws(JSONScanner.Fault) -> [Int64] {
        var values: [Int64] = []
        try scanner.eachElement { (scanner) throws(JSONScanner.Fault) in values.append(try scanner.integer(of: bytes)) }
        return values
    }

    private func texts(_ scanner: inout JSONScanner) throws(JSONScanner.Fault) -> [String] {
        var values: [String] = []
        try scanner.eachElement { (scanner) throws(JSONScanner.Fault) in values.append(try scanner.text(of: bytes)) }
        return values
    }

    private func clientIDs(_ scanner: inout JSONScanner) throws(JSONScanner.Fault) -> [String] {
        var ids: [String] = []
        try scanner.eachElement { (scanner) throws(JSONScanner.Fault) in
            try scanner.eachMember(of: bytes) { (scanner, name) throws(JSONScanner.Fault) in
                if name == "clientId" { ids.append(try scanner.text(of: bytes)) } else { _ = try scanner.value() }
            }
        }
        return ids
    }

    private mutating func limits(_ scanner: inout JSONScanner) throws(JSONScanner.Fault) {
        var (inFlight, frameBytes): (Int64?, Int64?)
        try scanner.eachMember(of: bytes) { (scanner, name) throws(JSONScanner.Fault) in
            switch name {
            case "inFlight": inFlight = try scanner.integer(of: bytes)
            case "frameBytes": frameBytes = try scanner.integer(of: bytes)
            default: _ = try scanner.value()
            }
        }
        (inFlightMax, frameBytesMax) = (inFlight, frameBytes)
    }
}
