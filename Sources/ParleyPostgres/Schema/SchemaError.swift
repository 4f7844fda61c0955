/// Why Parley cannot use a database. `description` is one line for whoever operates it: what, where, what to do.
public enum SchemaError: Error, Sendable, Hashable {
    case serverTooOld(database: String, version: Int)
    /// A standby, or a server that was made read-only.
    case readOnly(database: String)
    /// Nobody has run the migrations.
    case missing(database: String)
    /// Some migrations that this program needs are not there yet.
    case outdated(database: String, has: Int32, needs: Int32)
    /// A newer program has changed the schema so that this one must not use it.
    case tooNew(database: String, has: Int32, knows: Int32, by: String)
    case missingRight(database: String, role: String, right: String, remedy: String)
    case migrationFailed(database: String, number: Int32, name: String, reason: String)
    case exampleFailed(name: String, reason: String)
    case unreachable(reason: String)

    /// PostgreSQL's own number: 14.0.
    static let serverVersionMin = 140_000
}

extension SchemaError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .serverTooOld(let database, let version):
            "database \(database) runs on PostgreSQL \(version / 10_000).\(version % 10_000): "
                + "Parley needs version \(Self.serverVersionMin / 10_000) or newer"
        case .readOnly(let database):
            "database \(database) is read-only: point the URL at the primary, "
                + "for instance with several hosts and target_session_attrs=read-write"
        case .missing(let database):
            "database \(database) has no schema parley: run `parley migrate`"
        case .outdated(let database, let has, let needs):
            "the schema parley in database \(database) is at migration \(has), this program needs \(needs): "
                + "run `parley migrate`"
        case .tooNew(let database, let has, let knows, let by):
            "the schema parley in database \(database) is at migration \(has) (by Parley \(by)), this program "
                + "knows them up to \(knows): run a newer Parley"
        case .missingRight(let database, let role, let right, let remedy):
            "role \(role) lacks the right \(right) in database \(database): run \(remedy)"
        case .migrationFailed(let database, let number, let name, let reason):
            "migration \(number) (\(name)) failed in database \(database): \(reason)"
        case .exampleFailed(let name, let reason):
            "the example \(name) failed: \(reason)"
        case .unreachable(let reason):
            reason
        }
    }
}
