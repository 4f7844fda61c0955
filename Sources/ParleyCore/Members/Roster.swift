/// A member as others see it.
public struct Member: Hashable, Sendable {
    public let clientID: ClientID
    public let userID: String?
    /// A JSON object, byte by byte as the member sent it; nil when it sent none.
    public let profile: [UInt8]?

    public init(clientID: ClientID, userID: String? = nil, profile: [UInt8]? = nil) {
        self.clientID = clientID
        self.userID = userID
        self.profile = profile
    }
}

/// One step of a room's roster. Steps of one room are numbered 1, 2, 3 … without gaps, so that a node that missed
/// some knows it; but a later step of the same member replaces an earlier one, so that a read may skip numbers.
public struct RosterChange: Hashable, Sendable {
    /// What the step did to the member.
    public enum Kind: Hashable, Sendable {
        /// Joined, or has another profile.
        case joined
        case left
    }
    public let seq: Int64
    public let kind: Kind
    public let member: Member

    public init(seq: Int64, kind: Kind, member: Member) {
        self.seq = seq
        self.kind = kind
        self.member = member
    }
}
