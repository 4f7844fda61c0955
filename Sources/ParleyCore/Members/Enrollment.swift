/// A session's wish to be a member of a room, or to be one with another profile.
public struct Enrollment: Sendable {
    public var room: RoomID
    public var session: SessionIdentity
    /// The number of the socket that asks: refused when a newer one has the session. nil for no condition.
    public var socket: Int64?
    /// A JSON object; nil leaves the profile as it is.
    public var profile: [UInt8]?

    public init(room: RoomID, session: SessionIdentity, socket: Int64? = nil, profile: [UInt8]? = nil) {
        self.room = room
        self.session = session
        self.socket = socket
        self.profile = profile
    }
}

/// A membership as it is after a join.
public struct Enrolled: Sendable, Equatable {
    public var room: RoomNumber
    /// The room's count of members that went to another node, or were removed, as it was when this node took the member.
    /// To be sent with every append that carries the member's input: once the room has counted on, the store turns it
    /// away, and which members that means has to be asked.
    public var claim: Int64
    /// nil when the session was a member with this profile already.
    public var change: RosterChange?
    /// The room's roster number and count of members after this.
    public var rosterSeq: Int64
    public var count: Int
    /// What the log says of the ids of this member.
    public var marks: Marks
    /// The room has a rule: all that its members send is to be judged.
    public var isRuled: Bool

    public init(
        room: RoomNumber, claim: Int64, change: RosterChange?, rosterSeq: Int64, count: Int, marks: Marks,
        isRuled: Bool = false
    ) {
        self.room = room
        self.claim = claim
        self.change = change
        self.rosterSeq = rosterSeq
        self.count = count
        self.marks = marks
        self.isRuled = isRuled
    }
}
