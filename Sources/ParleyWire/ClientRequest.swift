public import ParleyCore

/// One request of a client.
public struct ClientFrame: Sendable, Equatable {
    public var id: Int64?
    public var request: ClientRequest
}

/// What a client asks for. Sizes and numbers have been held against `Limits`; whether the room is there, and the client in
/// it, has not been looked at.
public enum ClientRequest: Sendable, Equatable {
    case create(CreateRequest)
    case join(JoinRequest)
    case message(room: RoomID, payload: [UInt8])
    case set(SetRequest)
    case signal(room: RoomID, key: String?, payload: [UInt8])
    case history(HistoryQuery)
    case members(room: RoomID, after: String?, limit: Int)
    case leave(room: RoomID)
    case ping

    /// The answer has to wait for the store, unlike that to what is written in batches.
    public var asksTheStore: Bool {
        switch self {
        case .create, .join, .history, .members, .leave: true
        case .message, .set, .signal, .ping: false
        }
    }

    /// The room in whose order the request stands; nil for one that stands in none.
    public var orderedRoom: RoomID? {
        switch self {
        case .create(let request): request.room
        case .join(let request): request.room
        case .message(let room, _), .signal(let room, _, _), .members(let room, _, _), .leave(let room): room
        case .set(let request): request.room
        case .history(let query): query.room
        case .ping: nil
        }
    }
}

/// A `create`. `meta` is a JSON object, byte by byte as it was sent.
public struct CreateRequest: Sendable, Equatable {
    /// nil: the server makes one.
    public var room: RoomID?
    public var ifMissing = false
    public var meta: [UInt8]?
    public var retainMessages: Int64?
    public var retainSeconds: Int64?
    public var rule: String?
}

/// A `join`. `profile` is a JSON object, byte by byte as it was sent.
public struct JoinRequest: Sendable, Equatable {
    public var room: RoomID
    public var profile: [UInt8]?
    /// What the client has of the log; nil for nothing.
    public var after: ResumePoint?
    /// The newest changes that it wants without `after`: `Limits.recent` at most.
    public var recent: Int
    /// It wants to hear who comes and goes.
    public var presence: Bool
}

/// A `set`: new values for some keys, all of them or none.
public struct SetRequest: Sendable, Equatable {
    /// One key with its new value, JSON text as it was sent; `null` removes the key.
    public struct Entry: Sendable, Equatable {
        /// The key as a JSON string, with its quotes, as it was sent.
        public var key: [UInt8]
        public var value: [UInt8]
    }
    public var room: RoomID
    public var entries: [Entry]
    /// The whole object, as it was sent.
    public var object: [UInt8]
    /// For each named key, the `seq` of the change that must have written it last; 0: it must not exist.
    public var condition: [(key: [UInt8], seq: Seq)]?

    /// What the store has to judge.
    public var valueSet: ValueSet {
        ValueSet(
            values: entries.map { (Self.key($0.key), $0.value) },
            condition: condition?.map { (Self.key($0.key), $0.seq) })
    }

    private static func key(_ json: [UInt8]) -> ValueSet.Key {
        let text = json.withUnsafeBufferPointer { bytes in
            JSONString.text(UnsafeBufferPointer(rebasing: bytes.dropFirst().dropLast()))
        }
        return ValueSet.Key(json: json, text: text)
    }

    public static func == (a: Self, b: Self) -> Bool {
        a.room == b.room && a.entries == b.entries && a.object == b.object
            && a.condition?.map(\.key) == b.condition?.map(\.key) && a.condition?.map(\.seq) == b.condition?.map(\.seq)
    }
}

/// A `history`: `HistoryRequest` as the client puts it, which knows the room by its id.
public struct HistoryQuery: Sendable, Equatable {
    public var room: RoomID
    /// Both exclusive.
    public var before: ResumePoint?
    public var after: ResumePoint?
    /// Changes at most: 1 to `Limits.recent`.
    public var limit: Int
}

/// A frame that is no request: the error for the client, with what could be read of the frame.
public struct FrameRejection: Error, Equatable, Sendable {
    public var error: RequestError
    public var id: Int64?
    /// As the frame named it, valid or not.
    public var roomID: String?
    /// The id belongs to a `message` or `set` and is settled by this error.
    public var settlesID: Bool
}
