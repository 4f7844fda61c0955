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

    public static func ack(id: Int64, roomID: RoomID) -> ByteBuffer {
        frame("ack", id: id, roomID: roomID) { $0.member("duplicate", bool: true) }
    }

    /// - Parameter at: milliseconds since the Unix epoch.
    public static func ping(id: Int64?, at: Int64) -> ByteBuffer {
        frame("ping", id: id) { $0.member("at", integer: at) }
    }

    /// - Parameter roomID: as the request named it, valid or not.
    public static func error(_ error: RequestError, id: Int64?, roomID: String?) -> ByteBuffer {
        frame("error", id: id, capacity: error.reason.utf8.count + (error.values?.values.count ?? 0)) { out in
            out.member("code", string: error.code.rawValue)
            out.member("reason", string: error.reason)
            out.member("temporary", bool: error.code.isTemporary)
            if let roomID { out.member("roomId", string: roomID) }
            if let retryMs = error.retryMs { out.member("retryMs", integer: retryMs) }
            if let values = error.values { out.members(of: values) }
        }
    }

    static func frame(
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
