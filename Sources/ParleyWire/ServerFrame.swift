public import NIOCore
public import ParleyCore

/// The frames that a node sends, each as the JSON text of one message.
public enum ServerFrame {
    public static func connect(
        clientID: ClientID, session: String, isResumed: Bool, node: String, heartbeatMs: Int64, graceMs: Int64,
        sessionMs: Int64, rooms: [(id: RoomID, marks: Marks, seq: Seq)], limits: Limits
    ) -> ByteBuffer {
        frame("connect", capacity: 768 + rooms.count * 160) { out in
            out.member("clientId", string: clientID.text)
            out.member("session", string: session)
            out.member("resumed", bool: isResumed)
            out.member("node", string: node)
            out.member("protocol", integer: 1)
            out.member("heartbeatMs", integer: heartbeatMs)
            out.member("graceMs", integer: graceMs)
            out.member("sessionMs", integer: sessionMs)
            out.name("rooms")
            out.array(rooms) { out, room in
                out.object { out in
                    out.member("roomId", string: room.id.text)
                    out.members(of: room.marks)
                    out.member("seq", integer: room.seq)
                }
            }
            out.name("limits")
            out.object { out in
                out.member("frameBytes", integer: limits.frameBytes)
                out.member("messageBytes", integer: limits.messageBytes)
                out.member("serverFrameBytes", integer: limits.serverFrameBytes)
                out.member("profileBytes", integer: limits.profileBytes)
                out.member("metaBytes", integer: limits.metaBytes)
                out.member("signalBytes", integer: limits.signalBytes)
                out.member("valuesBytes", integer: limits.valuesBytes)
                out.member("roster", integer: limits.roster)
                out.member("rooms", integer: limits.rooms)
                out.member("inFlight", integer: limits.inFlight)
                out.member("recent", integer: limits.recent)
            }
        }
    }

    public static func createReply(id: Int64?, roomID: RoomID, created: Bool) -> ByteBuffer {
        frame("create", id: id, roomID: roomID) { $0.member("created", bool: created) }
    }

    /// The answer to a join. `withValues`: the snapshot stands for itself and does not continue what the client has.
    public static func joinReply(
        id: Int64?, roomID: RoomID, clientID: ClientID, count: Int, clients: [Member]?, marks: Marks,
        snapshot: Snapshot, withValues: Bool
    ) -> ByteBuffer {
        frame("join", id: id, roomID: roomID, capacity: snapshot.bodyBytes + clients.rosterBytes) { out in
            out.member("clientId", string: clientID.text)
            out.member("count", integer: count)
            out.members(of: marks)
            out.clients(clients)
            out.state(snapshot, withValues: withValues)
        }
    }

    /// A fresh copy for a client that is too far behind.
    public static func resetJoin(roomID: RoomID, count: Int, clients: [Member]?, snapshot: Snapshot) -> ByteBuffer {
        frame("join", roomID: roomID, capacity: snapshot.bodyBytes + clients.rosterBytes) { out in
            out.member("count", integer: count)
            out.clients(clients)
            out.state(snapshot, withValues: true)
        }
    }

    public static func presenceJoined(roomID: RoomID, count: Int, joined: [Member], clients: [Member]?) -> ByteBuffer {
        frame("join", roomID: roomID, capacity: Optional(joined).rosterBytes + clients.rosterBytes) { out in
            out.member("count", integer: count)
            out.name("joined")
            out.array(joined) { $0.entry($1) }
            out.clients(clients)
        }
    }

    public static func presenceLeft(roomID: RoomID, left: [ClientID], count: Int, clients: [Member]?) -> ByteBuffer {
        frame("leave", roomID: roomID, capacity: left.count * 32 + clients.rosterBytes) { out in
            out.name("left")
            out.array(left) { $0.string($1.text) }
            out.member("count", integer: count)
            out.clients(clients)
        }
    }

    public enum LeaveReason: String, Sendable { case left, removed, closed }

    public static func leaveReply(id: Int64?, roomID: RoomID, reason: LeaveReason, lastID: Int64) -> ByteBuffer {
        frame("leave", id: id, roomID: roomID) { out in
            out.member("reason", string: reason.rawValue)
            out.member("lastId", integer: lastID)
        }
    }

    /// `runs` follow each other without a gap, and there is at least one.
    public static func update(roomID: RoomID, runs: [Run], position: Position) -> ByteBuffer {
        frame("update", roomID: roomID, capacity: runs.reduce(0) { $0 + $1.body.count + 1 }) { out in
            out.name("state")
            out.object { out in
                out.member("from", integer: runs.first?.from ?? position.seq + 1)
                out.member("to", integer: position.seq)
                out.member("position", string: position.description)
                out.changes(runs)
            }
        }
    }

    public static func ack(id: Int64, roomID: RoomID) -> ByteBuffer {
        frame("ack", id: id, roomID: roomID) { $0.member("duplicate", bool: true) }
    }

    public static func historyReply(id: Int64?, roomID: RoomID, page: HistoryPage) -> ByteBuffer {
        frame("history", id: id, roomID: roomID, capacity: page.body.count) { out in
            out.member("from", integer: page.from)
            out.member("to", integer: page.to)
            out.member("first", integer: page.first)
            out.name("changes")
            out.raw("[")
            out.raw(page.body)
            out.raw("]")
            out.member("more", bool: page.more)
        }
    }

    public static func membersReply(id: Int64?, roomID: RoomID, count: Int, clients: [Member], more: Bool) -> ByteBuffer
    {
        frame("members", id: id, roomID: roomID, capacity: Optional(clients).rosterBytes) { out in
            out.member("count", integer: count)
            out.clients(clients)
            out.member("more", bool: more)
        }
    }

    /// - Parameter at: milliseconds since the Unix epoch.
    public static func ping(id: Int64?, at: Int64) -> ByteBuffer {
        frame("ping", id: id) { $0.member("at", integer: at) }
    }

    /// - Parameter roomID: as the request named it, valid or not.
    public static func error(_ error: RequestError, id: Int64?, roomID: String?) -> ByteBuffer {
        frame("error", id: id, capacity: error.reason.utf8.count) { out in
            out.member("code", string: error.code.rawValue)
            out.member("reason", string: error.reason)
            out.member("temporary", bool: error.code.isTemporary)
            if let roomID { out.member("roomId", string: roomID) }
            if let retryMs = error.retryMs { out.member("retryMs", integer: retryMs) }
        }
    }

    private static func frame(
        _ method: StaticString, id: Int64? = nil, roomID: RoomID? = nil, capacity: Int = 0,
        _ body: (inout JSONWriter) -> Void
    ) -> ByteBuffer {
        var out = JSONWriter(capacity: 256 + capacity)
        out.object { out in
            out.member("method", verbatim: method)
            if let id { out.member("id", integer: id) }
            if let roomID { out.member("roomId", string: roomID.text) }
            body(&out)
        }
        return out.buffer
    }
}

extension Snapshot {
    fileprivate var bodyBytes: Int { runs.reduce(0) { $0 + $1.body.count + 1 } }
}

extension [Member]? {
    fileprivate var rosterBytes: Int {
        self?.reduce(0) { $0 + 96 + ($1.profile?.count ?? 0) + ($1.userID?.utf8.count ?? 0) } ?? 0
    }
}

extension JSONWriter {
    fileprivate mutating func members(of marks: Marks) {
        member("lastId", integer: marks.lastID)
        guard !marks.refused.isEmpty else { return }
        name("refused")
        array(marks.refused) { $0.integer($1) }
    }

    fileprivate mutating func clients(_ members: [Member]?) {
        guard let members else { return }
        name("clients")
        array(members) { $0.entry($1) }
    }

    fileprivate mutating func entry(_ member: Member) {
        object { out in
            out.member("clientId", string: member.clientID.text)
            if let userID = member.userID { out.member("userId", string: userID) }
            if let profile = member.profile {
                out.name("profile")
                out.raw(profile)
            }
        }
    }

    fileprivate mutating func changes(_ runs: [Run]) {
        name("changes")
        array(runs) { $0.raw($1.body) }
    }

    fileprivate mutating func state(_ snapshot: Snapshot, withValues: Bool) {
        name("state")
        object { out in
            out.member("from", integer: snapshot.runs.first?.from ?? snapshot.end.seq + 1)
            out.member("to", integer: snapshot.end.seq)
            out.member("position", string: snapshot.end.description)
            out.changes(snapshot.runs)
            if withValues {
                out.name("values")
                out.raw("{}")
                out.name("versions")
                out.raw("{}")
            }
            switch snapshot.continuity {
            case .continues: out.member("reset", bool: false)
            case .reset: out.member("reset", bool: true)
            case .diverged:
                out.member("reset", bool: true)
                out.member("diverged", bool: true)
            }
        }
    }
}
