/// Where rooms live. One implementation keeps them in PostgreSQL, another in this process's memory; everything above
/// this line is the same code for both.
///
/// Calls may come from any thread and in any number; each has an answer within a bounded time, but for `append`, which
/// answers when the outcome is known. `StoreError.unavailable` says that nothing was done, unless the operation may
/// be repeated safely: all but `append` and `createRoom` may.
public protocol RoomStore: Sendable {
    func createRoom(_ creation: RoomCreation) async throws(StoreError) -> RoomCreated

    /// Makes the session a member, or renews its membership. Idempotent.
    func enroll(_ enrollment: Enrollment) async throws(StoreError) -> Enrolled

    /// Ends a membership. Idempotent: `change` is nil when it had ended before.
    func withdraw(_ withdrawal: Withdrawal) async throws(StoreError) -> Withdrawn

    /// Appends to several rooms in one transaction. The answer has one outcome for each append, in their order; it
    /// comes only when it is certain, however long the database is away. Called by one writer, one call at a time.
    func append(_ appends: [Append]) async throws(StoreError) -> [AppendOutcome]

    /// The same for one room that a foreign transaction holds, on a way of its own: waits for the room a bounded time,
    /// then answers `.locked`. Called by one task, one call at a time, beside `append`, and never for the same room.
    func appendApart(_ append: Append) async throws(StoreError) -> AppendOutcome

    /// The state of a room for one who joins, in one snapshot.
    func snapshot(_ request: SnapshotRequest) async throws(StoreError) -> Snapshot

    /// What came after each cursor, oldest first. A room without news is left out of the answer.
    func readLog(_ cursors: [LogCursor]) async throws(StoreError) -> [LogRead]

    /// What changed in each roster after its cursor. A cursor of 0 reads the whole roster. A room without news is left
    /// out of the answer, or has no changes in it.
    func readRosters(_ cursors: [RosterCursor]) async throws(StoreError) -> [RosterRead]

    func history(_ request: HistoryRequest) async throws(StoreError) -> HistoryPage

    /// The rooms of which the session is a member now.
    func memberships(of session: SessionKey) async throws(StoreError) -> [Membership]

    /// Where each of the rooms stands. A room that is gone is left out.
    func heads(of rooms: [RoomNumber]) async throws(StoreError) -> [RoomPointer]

    /// The key with which all nodes of this cluster sign session tokens, 32 bytes.
    func signingKey() async throws(StoreError) -> [UInt8]
}

public enum StoreError: Error, Equatable, Sendable {
    /// The store could not be reached in time. `reason` is for the log and for people; it holds no secret.
    case unavailable(reason: String)
    case roomNotFound
    case roomExists
    /// The request itself cannot be stored, however often it is tried.
    case invalid(reason: String)
}

// MARK: - Rooms

public struct RoomCreation: Sendable {
    public var id: RoomID
    /// An existing room is the answer instead of an error.
    public var ifMissing: Bool
    /// A JSON object.
    public var meta: [UInt8]?
    public var retainMessages: Int64?
    public var retainSeconds: Int64?

    public init(
        id: RoomID, ifMissing: Bool = false, meta: [UInt8]? = nil,
        retainMessages: Int64? = nil, retainSeconds: Int64? = nil
    ) {
        self.id = id
        self.ifMissing = ifMissing
        self.meta = meta
        self.retainMessages = retainMessages
        self.retainSeconds = retainSeconds
    }
}

public struct RoomCreated: Sendable, Equatable {
    public var created: Bool
    public init(created: Bool) { self.created = created }
}

// MARK: - Membership

public struct Enrollment: Sendable {
    public var room: RoomID
    public var session: SessionIdentity
    /// A JSON object; nil leaves the profile as it is.
    public var profile: [UInt8]?

    public init(room: RoomID, session: SessionIdentity, profile: [UInt8]? = nil) {
        self.room = room
        self.session = session
        self.profile = profile
    }
}

public struct Enrolled: Sendable, Equatable {
    public var room: RoomNumber
    /// To be sent with every append that carries this member's input.
    public var claim: Int64
    /// nil when the session was a member with this profile already.
    public var change: RosterChange?
    /// The room's roster number and count of members after this.
    public var rosterSeq: Int64
    public var count: Int
    /// What the log says of the ids of this member.
    public var marks: Marks

    public init(
        room: RoomNumber, claim: Int64, change: RosterChange?, rosterSeq: Int64, count: Int, marks: Marks
    ) {
        self.room = room
        self.claim = claim
        self.change = change
        self.rosterSeq = rosterSeq
        self.count = count
        self.marks = marks
    }
}

public struct Withdrawal: Sendable {
    public var room: RoomNumber
    public var session: SessionKey
    /// Only while the member's socket was last on this node: what the end of a grace must hold to.
    public var onlyIfHere: Bool

    public init(room: RoomNumber, session: SessionKey, onlyIfHere: Bool = false) {
        self.room = room
        self.session = session
        self.onlyIfHere = onlyIfHere
    }
}

public struct Withdrawn: Sendable, Equatable {
    public var change: RosterChange?
    public var rosterSeq: Int64
    public var count: Int

    public init(change: RosterChange?, rosterSeq: Int64, count: Int) {
        self.change = change
        self.rosterSeq = rosterSeq
        self.count = count
    }
}

public struct Membership: Sendable, Equatable {
    public var id: RoomID
    public var room: RoomNumber
    public var lastSeq: Seq
    public var marks: Marks

    public init(id: RoomID, room: RoomNumber, lastSeq: Seq, marks: Marks) {
        self.id = id
        self.room = room
        self.lastSeq = lastSeq
        self.marks = marks
    }
}

public struct RosterCursor: Sendable, Equatable {
    public var room: RoomNumber
    public var seq: Int64
    public init(room: RoomNumber, seq: Int64) {
        self.room = room
        self.seq = seq
    }
}

public struct RosterRead: Sendable, Equatable {
    public var room: RoomNumber
    /// The room's roster number and count of members in the snapshot of this read.
    public var seq: Int64
    public var count: Int
    /// By `seq`; at most one for each member. From a cursor of 0 only those who are there.
    public var changes: [RosterChange]

    public init(room: RoomNumber, seq: Int64, count: Int, changes: [RosterChange]) {
        self.room = room
        self.seq = seq
        self.count = count
        self.changes = changes
    }
}

// MARK: - The log

/// One room's part of a batch.
public struct Append: Sendable {
    public var room: RoomNumber
    /// The lowest of its members' claims: of none of them may the room have told another node since.
    public var claim: Int64
    /// A place that the room had reached before: the part comes to stand behind it. 0 when none is known.
    public var after: Seq
    /// How many changes `body` holds.
    public var count: Int
    public var tag: Tag
    /// As in `Run`.
    public var body: [UInt8]
    /// Ids of its members that were refused and that no earlier part told of.
    public var refused: [RefusedIDs]

    public init(
        room: RoomNumber, claim: Int64, after: Seq = 0, count: Int, tag: Tag, body: [UInt8], refused: [RefusedIDs] = []
    ) {
        self.room = room
        self.claim = claim
        self.after = after
        self.count = count
        self.tag = tag
        self.body = body
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

public enum AppendOutcome: Sendable, Equatable {
    /// Durable; the first change has `base + 1`.
    case applied(base: Seq)
    /// Durable, but at a place that only the log knows: the connection was lost before the answer came.
    case appliedUnseen
    /// Not applied: members of the room have moved to other nodes. What these have sent here is never to be applied; the
    /// rest may be sent again with this claim.
    case moved(claim: Int64, members: Set<ClientID>)
    /// Not applied: a foreign transaction holds the room. Send it again later.
    case locked
    /// Not applied: the room is gone.
    case gone
    /// Not applied, and never will be.
    case invalid(reason: String)
}

public struct LogCursor: Sendable, Equatable {
    public var room: RoomNumber
    public var after: Seq
    public init(room: RoomNumber, after: Seq) {
        self.room = room
        self.after = after
    }
}

public struct LogRead: Sendable, Equatable {
    public var room: RoomNumber
    /// Gapless, the first begins at or before `after + 1` unless that is no longer retained.
    public var runs: [Run]
    /// There is more after the last run: read again from there.
    public var more: Bool

    public init(room: RoomNumber, runs: [Run], more: Bool) {
        self.room = room
        self.runs = runs
        self.more = more
    }
}

public struct SnapshotRequest: Sendable {
    public enum Want: Sendable, Equatable {
        /// The newest so many changes.
        case recent(Int)
        /// Everything after this place; if it is not in this history any more: the newest 50.
        case after(ResumePoint)
    }
    public var room: RoomNumber
    public var want: Want
    /// Bytes of changes at most: the newest for `recent`, the oldest for `after`.
    public var bytesMax: Int

    public init(room: RoomNumber, want: Want, bytesMax: Int) {
        self.room = room
        self.want = want
        self.bytesMax = bytesMax
    }
}

public struct Snapshot: Sendable, Equatable {
    public enum Continuity: Sendable, Equatable {
        /// The changes follow what the client named (or it named nothing).
        case continues
        /// They do not: that place is no longer retained.
        case reset
        /// They do not: that place belongs to another history.
        case diverged
    }
    /// The room's newest place.
    public var head: Position
    /// Trimmed to exactly what was wanted; for `recent` they end at `head`, for `after` they may end before it.
    public var runs: [Run]
    public var continuity: Continuity
    /// Where the client stands once it has the runs: the end of the last one, or the place before all of them.
    public var end: Position

    public init(head: Position, runs: [Run], continuity: Continuity, end: Position) {
        self.head = head
        self.runs = runs
        self.continuity = continuity
        self.end = end
    }
}

public struct HistoryRequest: Sendable {
    public var room: RoomNumber
    /// Both exclusive.
    public var after: Seq?
    public var before: Seq?
    public var limit: Int
    public var bytesMax: Int

    public init(room: RoomNumber, after: Seq?, before: Seq?, limit: Int, bytesMax: Int) {
        self.room = room
        self.after = after
        self.before = before
        self.limit = limit
        self.bytesMax = bytesMax
    }
}

public struct HistoryPage: Sendable, Equatable {
    public var from: Seq
    /// `from - 1` when the page is empty.
    public var to: Seq
    /// The oldest place still kept.
    public var first: Seq
    /// The changes, joined by commas.
    public var body: [UInt8]
    /// There is more in the direction that was read, within the bounds.
    public var more: Bool

    public init(from: Seq, to: Seq, first: Seq, body: [UInt8], more: Bool) {
        self.from = from
        self.to = to
        self.first = first
        self.body = body
        self.more = more
    }
}
