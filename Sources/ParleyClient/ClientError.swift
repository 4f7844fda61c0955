/// Why a request was not carried out.
public enum ClientError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The node's answer. It will not be applied.
    case refused(code: String, reason: String)
    /// It was sent, and the session, the membership or the client ended before an answer came.
    case outcomeUnknown
    /// It was never sent, or surely not applied, for the session, the membership or the client has ended.
    case notSent
    /// The caller's task was cancelled. What it asked for may happen all the same.
    case cancelled
    /// More waits to be sent than a client may keep.
    case tooManyWaiting
    /// This is no room id.
    case badRoomID
    /// This client is not in the room, or is already.
    case notInRoom, inRoomAlready

    public var description: String {
        switch self {
        case .refused(let code, let reason): "\(reason) (\(code))"
        case .outcomeUnknown: "it is not known whether this was applied"
        case .notSent: "this was not sent any more"
        case .cancelled: "the caller waits no longer"
        case .tooManyWaiting: "too much waits to be sent already"
        case .badRoomID: "a room id is 1 to 64 of A-Z a-z 0-9 . _ ~ -"
        case .notInRoom: "this client is not in the room"
        case .inRoomAlready: "this client is in the room already"
        }
    }
}
