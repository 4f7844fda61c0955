public import ParleyCluster

/// A hot standby of another server of a test, fed asynchronously.
public struct TestReplica: Sendable {
    public let server: LocalPostgres
    private let primary: LocalPostgres

    private static let copyBound = Duration.seconds(60)

    /// Copies the primary, which runs, and starts.
    public static func start(of primary: LocalPostgres) async throws -> TestReplica {
        let server = try TestPostgres.makeServer()
        let binaries = try await primary.binaries()
        let source = try primary.url(database: "postgres")
        _ = try await Command(
            "\(binaries.folder)/pg_basebackup",
            ["--pgdata", server.dataFolder, "--write-recovery-conf", "--checkpoint=fast", "--dbname", source]
        ).succeed(within: copyBound, to: "copy the primary")
        _ = try await Command("/bin/chown", ["-R", "--reference=\(primary.dataFolder)", server.folder])
            .succeed(within: copyBound, to: "give the copy to its user")
        _ = try await server.start()
        return TestReplica(server: server, primary: primary)
    }

    /// From here on the replica gets nothing more: what the primary commits is lost when it is promoted.
    public func cutOff() async throws {
        _ = try await server.query("ALTER SYSTEM SET primary_conninfo = ''")
        _ = try await server.query("SELECT pg_reload_conf()")
        while try await primary.query("SELECT count(*) FROM pg_stat_replication") != "0" {
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Waits until the replica has all that the primary has committed.
    public func catchUp() async throws {
        let place = try await primary.query("SELECT pg_current_wal_lsn()")
        while try await server.query("SELECT pg_last_wal_replay_lsn() >= '\(place)'::pg_lsn") != "t" {
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    public func promote() async throws { _ = try await server.query("SELECT pg_promote()") }

    /// One connection string for both: whoever connects gets the one that takes writes.
    public func urlOfBoth(database: String) throws -> String {
        let (first, second) = (primary.running?.port ?? 0, server.running?.port ?? 0)
        return "postgresql://\(LocalPostgres.user)@127.0.0.1:\(first),127.0.0.1:\(second)/\(database)"
            + "?target_session_attrs=read-write"
    }
}
