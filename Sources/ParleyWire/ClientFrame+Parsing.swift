public import NIOCore
public import ParleyCore

extension ClientFrame {
    /// Reads one message of a client: valid UTF-8, at most `limits.frameBytes`.
    ///
    /// - Parameter clientID: whose connection it is; a frame that names another is refused.
    /// - Throws: the answer for the client. The connection lives on.
    public static func parse(
        _ message: ByteBuffer, clientID: ClientID, limits: Limits
    ) throws(FrameRejection) -> ClientFrame {
        let result: Result<ClientFrame, FrameRejection> = message.withUnsafeReadableBytes { raw in
            raw.withMemoryRebound(to: UInt8.self) { bytes in
                do throws(FrameRejection) {
                    return .success(try parse(bytes, clientID: clientID, limits: limits))
                } catch {
                    return .failure(error)
                }
            }
        }
        return try result.get()
    }

    private static func parse(
        _ bytes: UnsafeBufferPointer<UInt8>, clientID: ClientID, limits: Limits
    ) throws(FrameRejection) -> ClientFrame {
        var scanner = JSONScanner(bytes)
        var members = FrameMembers(bytes)
        var reader = RequestReader(members: members, limits: limits)
        do throws(JSONScanner.Fault) {
            defer { reader = RequestReader(members: members, limits: limits) }
            try members.read(&scanner)
            scanner.skipSpace()
            guard scanner.isAtEnd else { throw scanner.fault("nothing may follow the object") }
        } catch {
            throw reader.rejection(
                RequestError(
                    .badRequest, "not a JSON object as a frame must be: \(error.reason), at byte \(error.offset)"))
        }
        do throws(RequestError) {
            return try reader.frame(clientID: clientID)
        } catch {
            throw reader.rejection(error)
        }
    }
}

/// Makes a request of the members of a frame.
private struct RequestReader {
    let members: FrameMembers
    let limits: Limits

    private static let historyLimitDefault = 100
    private static let signalKeyMax = 32

    /// What can be said of the frame beside the error.
    func rejection(_ error: RequestError) -> FrameRejection {
        let method = members["method"].flatMap(members.text(of:))
        return FrameRejection(
            error: error, id: members["id"].flatMap(validID), roomID: members["roomId"].flatMap(members.text(of:)),
            settlesID: (method == "message" || method == "set") && error.code != .clientMismatch)
    }

    func frame(clientID: ClientID) throws(RequestError) -> ClientFrame {
        if let name = members.duplicate { throw bad("\"\(name)\" stands twice in the frame") }
        guard let method = members["method"] else { throw bad("\"method\" is missing") }
        guard let method = members.text(of: method) else { throw bad("\"method\" must be a string") }
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
        default: throw RequestError(.unknownMethod, "there is no method \"\(method.prefix(64))\"")
        }
    }

    // MARK: - Requests

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
        guard let retain = members["retain"] else { return request }
        var inner = FrameMembers(members.bytes(at: retain))
        try inner.readWhole("retain")
        for (name, value) in zip(inner.names, inner.values) where name == "messages" || name == "seconds" {
            guard let number = inner.integer(of: value), number >= 1 else {
                throw bad("\"retain\".\"\(name)\" must be a whole number from 1 on")
            }
            if name == "messages" { request.retainMessages = number } else { request.retainSeconds = number }
        }
        return request
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
        let object = members.bytes(at: value)
        guard value.first == UInt8(ascii: "{") else { throw bad("\"set\" must be an object") }
        guard object.count <= limits.valuesBytes else { throw tooLarge("set", limits.valuesBytes) }
        var inner = FrameMembers(object)
        try inner.readWhole("set")
        if let breach = inner.nameBreach ?? inner.values.lazy.compactMap(\.breach).first {
            throw bad("\"set\" holds what is not allowed: \(breach.reason)")
        }
        let entries = zip(inner.nameRanges, inner.values).map { name, value in
            SetRequest.Entry(key: inner.quoted(name), value: inner.bytes(of: value))
        }
        return SetRequest(room: room, entries: entries, object: Array(object), condition: try condition())
    }

    private func condition() throws(RequestError) -> [(key: [UInt8], seq: Seq)]? {
        guard let value = members["if"] else { return nil }
        guard value.first == UInt8(ascii: "{") else { throw bad("\"if\" must be an object") }
        var inner = FrameMembers(members.bytes(at: value))
        try inner.readWhole("if")
        var condition: [(key: [UInt8], seq: Seq)] = []
        for (name, value) in zip(inner.nameRanges, inner.values) {
            guard let seq = inner.integer(of: value), seq >= 0 else {
                throw bad("\"if\" must name a `seq`, a whole number from 0 on, for each key")
            }
            condition.append((inner.quoted(name), seq))
        }
        return condition
    }

    // MARK: - Members

    private func id() throws(RequestError) -> Int64? {
        guard let value = members["id"] else { return nil }
        guard let id = validID(value) else {
            throw bad("\"id\" must be a whole number from 1 to \(Limits.requestIDMax)")
        }
        return id
    }

    private func validID(_ value: FrameMembers.Value) -> Int64? {
        members.integer(of: value).flatMap { (1...Limits.requestIDMax).contains($0) ? $0 : nil }
    }

    private func room() throws(RequestError) -> RoomID {
        guard let value = members["roomId"] else { throw bad("\"roomId\" is missing") }
        guard let text = members.text(of: value) else { throw bad("\"roomId\" must be a string") }
        guard let room = RoomID(text) else { throw RequestError(.roomNotFound, "no room can have this id") }
        return room
    }

    private func payload(_ name: StaticString, bytesMax: Int) throws(RequestError) -> [UInt8] {
        guard let value = members[name] else { throw bad("\"\(name)\" is missing") }
        guard value.range.count <= bytesMax else { throw tooLarge(name, bytesMax) }
        if let breach = value.breach {
            throw bad("\"\(name)\" holds what is not allowed: \(breach.reason), at byte \(breach.offset)")
        }
        return members.bytes(of: value)
    }

    private func object(_ name: StaticString, bytesMax: Int) throws(RequestError) -> [UInt8]? {
        guard let value = members[name] else { return nil }
        guard value.first == UInt8(ascii: "{") else { throw bad("\"\(name)\" must be an object") }
        return try payload(name, bytesMax: bytesMax)
    }

    private func bool(_ name: StaticString, default fallback: Bool) throws(RequestError) -> Bool {
        guard let value = members[name] else { return fallback }
        guard let bool = members.bool(of: value) else { throw bad("\"\(name)\" must be true or false") }
        return bool
    }

    private func count(_ name: StaticString, from least: Int64, default fallback: Int) throws(RequestError) -> Int {
        guard let value = members[name] else { return fallback }
        guard let number = members.integer(of: value), number >= least else {
            throw bad("\"\(name)\" must be a whole number from \(least) on")
        }
        return Int(clamping: number)
    }

    private func place(_ name: StaticString) throws(RequestError) -> ResumePoint? {
        guard let value = members[name] else { return nil }
        if let seq = members.integer(of: value), seq >= 0 { return .seq(seq) }
        guard let position = members.text(of: value).flatMap(Position.init) else {
            throw bad("\"\(name)\" must be a whole number from 0 on, or a `position` of this room")
        }
        return .position(position)
    }

    private func bad(_ reason: String) -> RequestError { RequestError(.badRequest, reason) }

    private func tooLarge(_ name: StaticString, _ bytesMax: Int) -> RequestError {
        RequestError(.tooLarge, "\"\(name)\" is larger than \(bytesMax) bytes")
    }
}

extension FrameMembers {
    fileprivate func bytes(at value: Value) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(rebasing: bytes[value.range])
    }

    /// The name as a JSON string, with its quotes.
    fileprivate func quoted(_ name: Range<Int>) -> [UInt8] { Array(bytes[name.lowerBound - 1..<name.upperBound + 1]) }

    /// Reads an object that was scanned before as a value of the frame.
    fileprivate mutating func readWhole(_ name: StaticString) throws(RequestError) {
        var scanner = JSONScanner(bytes)
        do throws(JSONScanner.Fault) {
            try read(&scanner)
        } catch {
            throw RequestError(.badRequest, "\"\(name)\" must be an object")
        }
        if let duplicate { throw RequestError(.badRequest, "\"\(duplicate)\" stands twice in \"\(name)\"") }
    }
}
