/// The cluster as its store sees it, in brief: for people who watch it.
public struct Overview: Sendable, Equatable {
    /// More are left out: the dead ones first.
    public static let nodesMax = 64
    /// A dead node is told of for so long.
    public static let deadFor = Duration.seconds(600)
    /// The members of a node are not counted further.
    public static let membersMax = 10_000

    /// A server process, alive or dead for less than `deadFor`.
    public struct Node: Sendable, Equatable {
        /// A restarted node has another one.
        public var number: Int64
        public var name: String
        public var address: String?
        public var version: String
        public var isAlive: Bool
        /// Until its lease ends if it is not renewed, negative once it has; nil when it never had one.
        public var leaseLeftMs: Int64?
        public var ageMs: Int64
        /// Written by it.
        public var batches: Int64
        /// Whose socket is there, or was last; at most `membersMax`.
        public var members: Int

        public init(
            number: Int64, name: String, address: String?, version: String, isAlive: Bool, leaseLeftMs: Int64?,
            ageMs: Int64, batches: Int64, members: Int
        ) {
            self.number = number
            self.name = name
            self.address = address
            self.version = version
            self.isAlive = isAlive
            self.leaseLeftMs = leaseLeftMs
            self.ageMs = ageMs
            self.batches = batches
            self.members = members
        }
    }

    /// A room that was asked for.
    public struct Room: Sendable, Equatable {
        public var id: RoomID
        public var lastSeq: Seq
        public var members: Int

        public init(id: RoomID, lastSeq: Seq, members: Int) {
            self.id = id
            self.lastSeq = lastSeq
            self.members = members
        }
    }

    /// Milliseconds by the store's clock: only differences tell something.
    public var at: Int64
    /// Without those that died long ago; none where nodes share nothing.
    public var nodes: [Node]
    /// Those that were asked for and are there.
    public var rooms: [Room]

    public init(at: Int64, nodes: [Node], rooms: [Room]) {
        self.at = at
        self.nodes = nodes
        self.rooms = rooms
    }
}
