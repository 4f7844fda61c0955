public import NIOCore
public import ParleyCore

/// What a node says of a room: its members and its changes.
extension ServerFrame {
    /// The answer to a join. `withValues`: the snapshot stands for itself and does not continue what the client has.
    public static func joinReply(
        id: Int64?, roomID: RoomID, clientID: ClientID, count: Int, clients: [Member]?, marks: Marks,
        snapshot: Snapshot, withValues: Bool
    ) -> ByteBuffer {
        frame("join", id: id, roomID: roomID, capacity: snapshot.bodyBytes + (clients?.encodedBytesMax ?? 0)) { out in
            out.member("clientId", string: clientID.text)
            out.member("count", integer: count)
            out.members(of: marks)
            out.clients(clients)
            out.state(snapshot, withValues: withValues)
        }
    }

    /// A fresh copy for a client that is too far behind.
    public static func resetJoin(roomID: RoomID, count: Int, clients: [Member]?, snapshot: Snapshot) -> ByteBuffer {
        frame("join", roomID: roomID, capacity: snapshot.bodyBytes + (clients?.encodedBytesMax ?? 0)) { out in
            out.member("count", integer: count)
            out.clients(clients)
            out.state(snapshot, withValues: true)
        }
    }

    public static func presenceJoined(roomID: RoomID, count: Int, joined: [Member], clients: [Member]?) -> ByteBuffer {
        frame("join", roomID: roomID, capacity: joined.encodedBytesMax + (clients?.encodedBytesMax ?? 0)) { out in
            out.member("count", integer: count)
            out.name("joined")
            out.array(joined) { $0.entry($1) }
            out.clients(clients)
        }
    }

    public static func presenceLeft(roomID: RoomID, left: [ClientID], count: Int, clients: [Member]?) -> ByteBuffer {
        frame("leave", roomID: roomID, capacity: left.count * 32 + (clients?.encodedBytesMax ?? 0)) { out in
            out.name("left")
            out.array(left) { $0.string($1.text) }
            out.member("count", integer: count)
            out.clients(clients)
        }
    }

    /// Why a client is in a room no more: it left, SQL removed it, or the room was closed.
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

    public static func signals(roomID: RoomID, _ signals: [Signal]) -> ByteBuffer {
        let bytes = signals.reduce(0) { $0 + $1.head.count + $1.payload.count + 16 }
        return frame("signal", roomID: roomID, capacity: bytes) { out in
            out.name("signals")
            out.array(signals) { out, signal in
                out.raw("{")
                out.raw(signal.head)
                out.raw(",\"signal\":")
                out.raw(signal.payload)
                out.raw("}")
            }
        }
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
        frame("members", id: id, roomID: roomID, capacity: clients.encodedBytesMax) { out in
            out.member("count", integer: count)
            out.clients(clients)
            out.member("more", bool: more)
        }
    }
}

extension Snapshot {
    fileprivate var bodyBytes: Int { runs.reduce(0) { $0 + $1.body.count + 1 } }
}
