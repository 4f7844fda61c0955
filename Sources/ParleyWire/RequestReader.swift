import ParleyCore

/// Makes a request of the members of a frame. Members that the method does not have are not looked at.
struct RequestReader {
    let members: FrameMembers
    let limits: Limits

    private static let historyLimitDefault = 100
    private static let signalKeyMax = 32

    func frame(clientID: ClientID) throws(RequestError) -> ClientFrame {
        if let name = members.duplicate { throw bad("\"\(name.shown)\" stands twice in the frame") }
        guard let value = members["method"] else { throw bad("\"method\" is missing") }
        guard let method = members.text(of: value) else { throw bad("\"method\" must be a string") }
        let id = try id()
        if let value = members["clientId"] {
            guard let named = members.text(of: value) else { throw bad("\"clientId\" must be a string") }
            guard named == clientID.text else {
                throw RequestError(.clientMismatch, "\"clientId\" must be this connection's own, or be left out")
            }
        }
        return ClientFrame(id: id, request: try request(method))
    }

    private func request(_ method: String) throws(RequestError) -> ClientRequest {
        switch method {
        case "message":
            return .message(room: try room(), payload: try payload("message", bytesMax: limits.messageBytes))
        case "ping": return .ping
        case "join": return .join(try join())
        case "leave": return .leave(room: try room())
        case "create": return .create(try create())
        case "history": return .history(try history())
        case "members": return try membersPage()
        case "signal": return try signal()
        case "set": return .set(try set())
        default: throw RequestError(.unknownMethod, "there is no method \"\(method.shown)\"")
        }
    }

    private func create() throws(RequestError) -> CreateRequest {
        var request = CreateRequest()
        if let value = members["roomId"] {
            guard let room = members.text(of: value).flatMap(RoomID.init) else {
                throw bad("\"roomId\" must be 1 to 64 of A-Z a-z 0-9 . _ ~ -, and neither . nor ..")
            }
            request.room = room
        }
        request.ifMissing = try bool("ifMissing", default: false)
        request.meta = try object("meta", bytesMax: limits.metaBytes)
        if let value = members["rule"] {
            // Names of rules are made like those of rooms.
            guard let rule = members.text(of: value), RoomID(rule) != nil else {
                throw bad("\"rule\" must be the name of a rule: 1 to 64 of A-Z a-z 0-9 . _ ~ -, and neither . nor ..")
            }
            request.rule = rule
        }
        guard let retain = try inner("retain") else { return request }
        request.retainMessages = try retained("messages", retain)
        request.retainSeconds = try retained("seconds", retain).map { min($0, Limits.retainSecondsMax) }
        return request
    }

    private func retained(_ name: StaticString, _ retain: FrameMembers) throws(RequestError) -> Int64? {
        guard let value = retain[name] else { return nil }
        guard let number = retain.integer(of: value), number >= 1 else {
            throw bad("\"retain\".\"\(name)\" must be a whole number from 1 on")
        }
        return number
    }

    private func join() throws(RequestError) -> JoinRequest {
        JoinRequest(
            room: try room(), profile: try object("profile", bytesMax: limits.profileBytes),
            after: try place("after"),
            recent: min(try count("recent", from: 0, default: Limits.recentDefault), limits.recent),
            presence: try bool("presence", default: true))
    }

    private func history() throws(RequestError) -> HistoryQuery {
        HistoryQuery(
            room: try room(), before: try place("before"), after: try place("after"),
            limit: min(try count("limit", from: 1, default: Self.historyLimitDefault), limits.recent))
    }

    private func membersPage() throws(RequestError) -> ClientRequest {
        let room = try room()
        var after: String?
        if let value = members["after"] {
            guard let text = members.text(of: value) else { throw bad("\"after\" must be a client's id") }
            after = text
        }
        let limit = min(try count("limit", from: 1, default: limits.recent), limits.recent)
        return .members(room: room, after: after, limit: limit)
    }

    private func signal() throws(RequestError) -> ClientRequest {
        let room = try room()
        var key: String?
        if let value = members["key"] {
            guard value.breach == nil, let text = members.text(of: value),
                (1...Self.signalKeyMax).contains(text.unicodeScalars.count)
            else { throw bad("\"key\" must be a string of 1 to \(Self.signalKeyMax) characters") }
            key = text
        }
        return .signal(room: room, key: key, payload: try payload("signal", bytesMax: limits.signalBytes))
    }

    private func set() throws(RequestError) -> SetRequest {
        let room = try room()
        guard let value = members["set"] else { throw bad("\"set\" is missing") }
        guard value.range.count <= limits.valuesBytes else { throw tooLarge("set", limits.valuesBytes) }
        guard let keys = try inner("set") else { throw bad("\"set\" is missing") }
        try check(keys, of: "set")
        let entries = keys.all.map { SetRequest.Entry(key: keys.quotedName(of: $0), value: keys.bytes(of: $0.value)) }
        return SetRequest(room: room, entries: entries, object: members.bytes(of: value), condition: try condition())
    }

    private func check(_ keys: FrameMembers, of name: StaticString) throws(RequestError) {
        if let breach = keys.breach { throw bad("\"\(name)\" holds what is not allowed: \(breach.reason)") }
        let quotes = 2
        if keys.all.contains(where: { keys.quotedName(of: $0).count > Limits.valueKeyBytesMax + quotes }) {
            throw RequestError(.tooLarge, "a key of \"\(name)\" may have \(Limits.valueKeyBytesMax) bytes")
        }
    }

    private func condition() throws(RequestError) -> [(key: [UInt8], seq: Seq)]? {
        guard let keys = try inner("if") else { return nil }
        try check(keys, of: "if")
        var condition: [(key: [UInt8], seq: Seq)] = []
        for member in keys.all {
            guard let seq = keys.integer(of: member.value), Self.seqs.contains(seq) else {
                throw bad("\"if\" must name a `seq`, a whole number from 0 on, for each key")
            }
            condition.append((keys.quotedName(of: member), seq))
        }
        return condition
    }
}
