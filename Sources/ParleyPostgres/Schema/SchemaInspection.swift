internal import ParleySchema

/// Looks at a database within the greeting of a connection.
struct SchemaInspection {
    let known: [Migration]

    func status(_ greeter: borrowing Greeter) throws(PostgresError) -> SchemaStatus {
        let place = try greeter.query("SELECT current_database()::text, to_regclass('parley.migration') IS NOT NULL")
        guard let row = place.first else { throw .connectionLost(reason: "no answer") }
        return SchemaStatus(
            database: row.text(0), serverVersion: greeter.serverVersion,
            applied: row.bool(1) ? try applied(greeter) : [], known: known)
    }

    private func applied(_ greeter: borrowing Greeter) throws(PostgresError) -> [SchemaStatus.Applied] {
        let rows = try greeter.query(
            "SELECT number, name, applied_at, parley_version, older_nodes_go_on FROM parley.migration ORDER BY number")
        return rows.map {
            SchemaStatus.Applied(
                number: $0.int4(0), name: $0.text(1), appliedAt: $0.timestamp(2), parleyVersion: $0.text(3),
                olderNodesGoOn: $0.bool(4))
        }
    }

    /// Throws unless this server can be written to and is new enough.
    func check(_ greeter: borrowing Greeter, _ status: SchemaStatus) throws(SchemaError) {
        guard status.serverVersion >= SchemaError.serverVersionMin else {
            throw .serverTooOld(database: status.database, version: status.serverVersion)
        }
        let rows: Rows
        do throws(PostgresError) {
            rows = try greeter.query("SELECT current_setting('transaction_read_only') = 'on'")
        } catch {
            throw .unreachable(reason: "\(error)")
        }
        if rows.first?.bool(0) == true { throw .readOnly(database: status.database) }
    }
}
