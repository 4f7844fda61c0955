/// The answer to a request that was not carried out: the error table of the protocol.
public struct RequestError: Error, Equatable, Sendable {
    /// What kind of error, by its name on the wire.
    public enum Code: String, Sendable, CaseIterable {
        case badRequest = "bad_request"
        case refusedBefore = "refused_before"
        case unknownMethod = "unknown_method"
        case clientMismatch = "client_mismatch"
        case roomNotFound = "room_not_found"
        case roomExists = "room_exists"
        case notJoined = "not_joined"
        case tooLarge = "too_large"
        case conflict
        case unauthorized
        case forbidden
        case rateLimited = "rate_limited"
        case unavailable

        /// A temporary error settles nothing: the client sends the same request again.
        public var isTemporary: Bool {
            switch self {
            case .rateLimited, .unavailable: true
            case .badRequest, .refusedBefore, .unknownMethod, .clientMismatch, .roomNotFound, .roomExists,
                .notJoined, .tooLarge, .conflict, .unauthorized, .forbidden:
                false
            }
        }
    }

    public var code: Code
    /// For a person: what was wrong, where, and what to do.
    public var reason: String
    /// When to send a temporary failure again, milliseconds; nil for all others.
    public var retryMs: Int?
    /// Of a conflict: what the values are that the condition names.
    public var values: RoomValues?

    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
        self.retryMs = code.isTemporary ? Self.retryMsDefault : nil
    }

    public static let retryMsDefault = 250
}
