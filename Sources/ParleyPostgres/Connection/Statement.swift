/// One SQL command under a name.
///
/// Each connection prepares it on its server when it is first used there. Types of parameters are stated in the SQL
/// by casts (`$1::int8`), since none are sent. The name must stand for the same SQL for as long as the process
/// lives; it appears in logs and metrics, and is at most 63 bytes, which PostgreSQL would cut silently.
public struct Statement: Sendable, Hashable {
    public static let nameLengthMax = 63

    public let name: String
    public let sql: String

    public init(name: String, sql: String) {
        precondition((1...Self.nameLengthMax).contains(name.utf8.count), "a statement needs a name of 1 to 63 bytes")
        self.name = name
        self.sql = sql
    }
}
