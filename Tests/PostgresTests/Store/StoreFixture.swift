import ParleyCore

@testable import ParleyPostgres

extension PostgresRoomStore {
    /// New rooms `prefix1`, `prefix2` … as a new member of each sees them.
    func makeRooms(_ count: Int, prefix: String = "r") async throws -> [RoomNumber] {
        var rooms: [RoomNumber] = []
        for index in 1...count { rooms.append(try await makeRoom("\(prefix)\(index)")) }
        return rooms
    }

    func makeRoom(_ id: String = "r1") async throws -> RoomNumber {
        _ = try await createRoom(RoomCreation(id: room(id)))
        // Idempotent reading of the number: the room's only other name is inside the store.
        return try await number(of: id)
    }

    func number(of id: String) async throws -> RoomNumber {
        let rows = try await reader.execute(
            Statement(name: "test-number", sql: "SELECT room_no FROM parley.room WHERE room_id = $1::text"), [.text(id)]
        )
        return RoomNumber(try unwrap(rows.first).int8(0))
    }

    /// Appends one chunk to one room.
    @discardableResult
    func add(
        _ messages: [String], to room: RoomNumber, by client: String = "ann", ids: Range<Int64>? = nil,
        claim: Int64 = 0,
        tag: Tag = .random(in: .min ... .max)
    ) async throws -> AppendOutcome {
        try unwrap(
            try await append([chunk(messages, to: room, by: client, ids: ids, claim: claim, tag: tag)]).first)
    }
}

struct Missing: Error {}

func unwrap<Value>(_ value: Value?) throws -> Value {
    guard let value else { throw Missing() }
    return value
}

func room(_ id: String) -> RoomID { RoomID(id)! }

func chunk(
    _ messages: [String], to room: RoomNumber, by client: String = "ann", ids: Range<Int64>? = nil, claim: Int64 = 0,
    tag: Tag = .random(in: .min ... .max)
) -> Append {
    let changes = messages.enumerated().map { index, message in
        let id = ids.map { #""id":\#($0.lowerBound + Int64(index)),"# } ?? ""
        return #"{"clientId":"\#(client)",\#(id)"at":1732350000123,"message":\#(message)}"#
    }
    return Append(
        room: room, claim: claim, count: messages.count, tag: tag, body: Array(changes.joined(separator: ",").utf8))
}

func identity(_ client: String, user: String? = nil) -> SessionIdentity {
    var bytes = Array(client.utf8.prefix(SessionKey.length))
    bytes += [UInt8](repeating: 0, count: SessionKey.length - bytes.count)
    return SessionIdentity(key: SessionKey(bytes)!, clientID: ClientID(client)!, userID: user)
}

func join(_ room: String, _ client: String, profile: String? = nil) -> Enrollment {
    Enrollment(room: RoomID(room)!, session: identity(client), profile: profile.map { Array($0.utf8) })
}

extension Run {
    var text: String { String(decoding: body, as: UTF8.self) }
    /// The messages of the changes, for chunks of `chunk`.
    var messages: [String] { ChunkMessages.of(body) }
}

enum ChunkMessages {
    static func of(_ body: [UInt8]) -> [String] {
        var start = 0
        return Run(from: 1, to: 1, tag: 0, body: body).changeLengths.map { length in
            let change = String(decoding: body[start..<start + length], as: UTF8.self)
            start += length + 1
            return String(change.split(separator: #""message":"#, maxSplits: 1)[1].dropLast())
        }
    }
}
