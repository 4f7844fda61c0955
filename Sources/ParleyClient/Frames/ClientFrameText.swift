import NIOCore
import ParleyCore

/// What this client says to a node. Room ids and positions need no escaping; payloads are JSON text already.
enum ClientFrameText {
    static func create(id: Int64, room: RoomID, meta: String?, rule: RoomID? = nil) -> ByteBuffer {
        let rule = rule.map { #","rule":"\#($0)""# } ?? ""
        let meta = meta.map { #","meta":\#($0)"# } ?? ""
        return ByteBuffer(
            string: #"{"method":"create","id":\#(id),"roomId":"\#(room)","ifMissing":true\#(meta)\#(rule)}"#)
    }

    static func join(id: Int64, room: RoomID, wish: JoinWish, after: Position?) -> ByteBuffer {
        let profile = wish.profile.map { #","profile":\#($0)"# } ?? ""
        let start = after.map { #","after":"\#($0)""# } ?? #","recent":\#(wish.recent)"#
        let presence = wish.presence ? "" : #","presence":false"#
        return ByteBuffer(string: #"{"method":"join","id":\#(id),"roomId":"\#(room)"\#(profile)\#(start)\#(presence)}"#)
    }

    static func message(id: Int64, room: RoomID, message: String) -> ByteBuffer {
        ByteBuffer(string: #"{"method":"message","id":\#(id),"roomId":"\#(room)","message":\#(message)}"#)
    }

    static func leave(id: Int64, room: RoomID) -> ByteBuffer {
        ByteBuffer(string: #"{"method":"leave","id":\#(id),"roomId":"\#(room)"}"#)
    }

    static let ping = ByteBuffer(string: #"{"method":"ping"}"#)
}

/// How a client wants to be in a room.
public struct JoinWish: Sendable, Equatable {
    /// JSON text, shown to other members.
    public var profile: String?
    /// How many of the newest changes to begin with.
    public var recent: Int
    /// Whether to hear of members that come and go.
    public var presence: Bool

    public init(profile: String? = nil, recent: Int = 50, presence: Bool = true) {
        self.profile = profile
        self.recent = recent
        self.presence = presence
    }
}
