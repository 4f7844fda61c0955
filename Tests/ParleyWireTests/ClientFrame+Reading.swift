import NIOCore
import ParleyCore
import ParleyWire

extension ClientFrame {
    /// What a frame was read as, in the words of the fixtures.
    var reading: JSONValue {
        var members: [String: JSONValue] = [:]
        if let id { members["id"] = .integer(id) }
        if let room = request.orderedRoom { members["roomId"] = .string(room.text) }
        switch request {
        case .ping: members["method"] = .string("ping")
        case .leave: members["method"] = .string("leave")
        case .message(_, let payload):
            members["method"] = .string("message")
            members["message"] = .text(payload)
        case .signal(_, let key, let payload):
            members["method"] = .string("signal")
            members["signal"] = .text(payload)
            members["key"] = key.map(JSONValue.string)
        case .create(let create):
            members["method"] = .string("create")
            members["ifMissing"] = .bool(create.ifMissing)
            members["meta"] = create.meta.map(JSONValue.text)
            var retain: [String: JSONValue] = [:]
            retain["messages"] = create.retainMessages.map(JSONValue.integer)
            retain["seconds"] = create.retainSeconds.map(JSONValue.integer)
            if !retain.isEmpty { members["retain"] = .object(retain) }
            members["rule"] = create.rule.map(JSONValue.string)
        case .join(let join):
            members["method"] = .string("join")
            members["profile"] = join.profile.map(JSONValue.text)
            members["after"] = join.after.map(JSONValue.place)
            members["recent"] = .integer(Int64(join.recent))
            members["presence"] = .bool(join.presence)
        case .set(let set):
            members["method"] = .string("set")
            members["set"] = .text(set.object)
            members["entries"] = .array(set.entries.map { .array([.text($0.key), .text($0.value)]) })
            members["if"] = set.condition.map { .array($0.map { .array([.text($0.key), .integer($0.seq)]) }) }
        case .history(let query):
            members["method"] = .string("history")
            members["before"] = query.before.map(JSONValue.place)
            members["after"] = query.after.map(JSONValue.place)
            members["limit"] = .integer(Int64(query.limit))
        case .members(_, let after, let limit):
            members["method"] = .string("members")
            members["after"] = after.map(JSONValue.string)
            members["limit"] = .integer(Int64(limit))
        }
        return .object(members)
    }

    static func read(
        _ text: some Sequence<UInt8>, limits: Limits = Limits()
    ) -> Result<ClientFrame, FrameRejection> {
        guard let clientID = FrameFixtures.clientID else { fatalError("docs/frames.jsonl names no client") }
        do throws(FrameRejection) {
            return .success(try parse(ByteBuffer(bytes: text), clientID: clientID, limits: limits))
        } catch {
            return .failure(error)
        }
    }
}

extension JSONValue {
    static func text(_ bytes: [UInt8]) -> JSONValue { .string(String(decoding: bytes, as: UTF8.self)) }

    static func place(_ point: ResumePoint) -> JSONValue {
        switch point {
        case .seq(let seq): .integer(seq)
        case .position(let position): .string(position.description)
        }
    }
}
