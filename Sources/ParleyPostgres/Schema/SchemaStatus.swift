public import ParleySchema

/// What migrations a database has, seen by a program that knows some.
public struct SchemaStatus: Sendable, Hashable {
    public struct Applied: Sendable, Hashable {
        public let number: Int32
        public let name: String
        /// Microseconds since 1970.
        public let appliedAt: Int64
        /// The version of Parley that applied it.
        public let parleyVersion: String
        public let olderNodesGoOn: Bool
    }

    public let database: String
    /// As PostgreSQL numbers it: 150018 for 15.18.
    public let serverVersion: Int
    /// By number; empty when there is no schema.
    public let applied: [Applied]
    /// What this program knows and the database does not have, in the order in which it would be applied.
    public let pending: [Migration]

    init(database: String, serverVersion: Int, applied: [Applied], known: [Migration]) {
        self.database = database
        self.serverVersion = serverVersion
        self.applied = applied
        let newest = applied.last?.number ?? 0
        self.pending = known.filter { $0.number > newest }
    }

    /// Throws unless a program that knows `known` may use the database as it is.
    func check(usableBy known: [Migration]) throws(SchemaError) {
        let has = applied.last?.number ?? 0
        let knows = known.last?.number ?? 0
        try check(notNewerThan: known)
        if applied.isEmpty { throw .missing(database: database) }
        if has < knows { throw .outdated(database: database, has: has, needs: knows) }
    }

    /// Throws when the database has a migration that a program which knows `known` must not live with.
    public func check(notNewerThan known: [Migration]) throws(SchemaError) {
        let knows = known.last?.number ?? 0
        guard let last = applied.last, applied.contains(where: { $0.number > knows && !$0.olderNodesGoOn }) else {
            return
        }
        throw .tooNew(database: database, has: last.number, knows: knows, by: last.parleyVersion)
    }
}
