/// One room's part of a batch.
public struct Append: Sendable {
    public var room: RoomNumber
    /// The lowest claim (`Enrolled.claim`) of the members whose inputs these are. The store applies the part only while it
    /// is still the room's: a higher one says that some member, perhaps one of these, has gone to another node since.
    public var claim: Int64
    /// A place that the room had reached before: the part comes to stand behind it. 0 when none is known.
    public var after: Seq
    /// How many changes `body` holds.
    public var count: Int
    public var tag: Tag
    /// As in `Run`.
    public var body: [UInt8]
    /// The inputs one by one, when some of them are to be judged: the store writes those that it accepts, whose changes
    /// joined are the body then.
    public var judged: [JudgedInput]?
    /// The room has a rule, which judges them all.
    public var isRuled: Bool
    /// Ids of its members that were refused and that no earlier part told of.
    public var refused: [RefusedIDs]

    public init(
        room: RoomNumber, claim: Int64, after: Seq = 0, count: Int, tag: Tag, body: [UInt8],
        judged: [JudgedInput]? = nil, isRuled: Bool = false, refused: [RefusedIDs] = []
    ) {
        self.room = room
        self.claim = claim
        self.after = after
        self.count = count
        self.tag = tag
        self.body = body
        self.judged = judged
        self.isRuled = isRuled
        self.refused = refused
    }
}

/// Ids of one member that were refused.
public struct RefusedIDs: Hashable, Sendable {
    public var clientID: ClientID
    /// Ascending.
    public var ids: [Int64]

    public init(clientID: ClientID, ids: [Int64]) {
        self.clientID = clientID
        self.ids = ids
    }
}

/// What became of one append. Final but for `moved`, `locked` and `tooMuch`, after which what is left is appended again.
public enum AppendOutcome: Sendable, Equatable {
    /// Durable; the first change has `base + 1`.
    case applied(base: Seq)
    /// Durable, as far as the inputs were accepted: the first that was has `base + 1`.
    case judged(base: Seq, verdicts: [Verdict])
    /// Durable, but at a place that only the log knows: the connection was lost before the answer came.
    case appliedUnseen
    /// Not applied: members of the room have moved to other nodes. What these have sent here is never to be applied; the
    /// rest may be sent again with this claim.
    case moved(claim: Int64, members: Set<ClientID>)
    /// Not applied: a foreign transaction holds the room, or it could not be tried now. Send it again later, apart.
    case locked
    /// Not applied: its rule is slow, or may be. Send it again apart, behind those that are only locked.
    case slow
    /// Not applied: more inputs together than its rule can deal with. Send fewer of them at once.
    case tooMuch
    /// Not applied: the room is gone.
    case gone
    /// Not applied, and never will be.
    case invalid(reason: String)
}
