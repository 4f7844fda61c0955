/// SQL by way of psql, for the few statements that making a server needs: so this module needs no driver.
public struct PsqlClient: Sendable {
    let binaries: PostgresBinaries
    let url: String

    public init(binaries: PostgresBinaries, url: String) {
        self.binaries = binaries
        self.url = url
    }

    public static let statementBound = Duration.seconds(60)

    /// Rows as text, columns separated by `|`.
    @discardableResult
    public func query(_ sql: String) async throws -> String {
        let arguments = ["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]
        return try await Command(binaries.psql, arguments, environment: LocalPostgres.environment)
            .succeed(within: Self.statementBound, to: "run SQL")
            .trimmingSuffix("\n")
    }

    /// Says false when it was there.
    @discardableResult
    public func createDatabase(_ name: String, template: String) async throws -> Bool {
        let found = try await query("SELECT count(*) FROM pg_database WHERE datname = \(Self.literal(name))")
        guard found == "0" else { return false }
        try await query(
            "CREATE DATABASE \(Self.identifier(name)) TEMPLATE \(Self.identifier(template))")
        // Not "$user", public: the role may be called as a schema is, and who tries things out has tables of his own.
        try await query("ALTER DATABASE \(Self.identifier(name)) SET search_path = public")
        return true
    }

    public func dropDatabase(_ name: String) async throws {
        try await query("DROP DATABASE IF EXISTS \(Self.identifier(name)) WITH (FORCE)")
    }

    static func identifier(_ name: String) -> String { "\"\(name.doubling("\""))\"" }
    static func literal(_ text: String) -> String { "'\(text.doubling("'"))'" }
}

extension String {
    fileprivate func doubling(_ quote: Character) -> String {
        reduce(into: "") { text, character in
            text.append(character)
            if character == quote { text.append(character) }
        }
    }

    fileprivate func trimmingSuffix(_ suffix: String) -> String {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) : self
    }
}
