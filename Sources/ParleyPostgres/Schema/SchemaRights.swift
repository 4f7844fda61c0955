/// What the role of a connection may do with the schema, looked at within the greeting. Each check throws `missingRight` with
/// the `GRANT` that helps.
enum SchemaRights {
    /// To see which migrations are there. Without a schema there is nothing to miss.
    static func checkLook(_ greeter: borrowing Greeter) throws(SchemaError) {
        try check(
            greeter,
            """
            SELECT 'USAGE' FROM pg_namespace n
            LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'migration'
            WHERE n.nspname = 'parley'
                AND (NOT has_schema_privilege(n.oid, 'USAGE') OR NOT has_table_privilege(c.oid, 'SELECT'))
            """, remedy: use)
    }

    /// To serve.
    static func checkUse(_ greeter: borrowing Greeter) throws(SchemaError) {
        try check(
            greeter,
            """
            SELECT 'SELECT, INSERT, UPDATE, DELETE' FROM pg_namespace n
            WHERE n.nspname = 'parley' AND EXISTS (
                SELECT FROM pg_class c
                WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND c.relname <> ALL ('{\(administration)}')
                    AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
                        AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')))
            """, remedy: use)
        try check(
            greeter,
            """
            SELECT 'EXECUTE on function ' || p.oid::regprocedure FROM pg_proc p
            WHERE p.pronamespace = to_regnamespace('parley') AND NOT has_function_privilege(p.oid, 'EXECUTE')
            LIMIT 1
            """, remedy: use)
    }

    /// Tables that only the owner changes.
    private static let administration = "migration,granted_role,rule,setting"

    /// To apply migrations.
    static func checkMake(_ greeter: borrowing Greeter) throws(SchemaError) {
        try check(
            greeter,
            """
            SELECT 'CREATE' FROM (SELECT) one LEFT JOIN pg_namespace n ON n.nspname = 'parley'
            WHERE n.oid IS NULL AND NOT has_database_privilege(current_database(), 'CREATE')
            """, remedy: { "`GRANT CREATE ON DATABASE \($0.database) TO \($0.role)`" })
        try check(
            greeter,
            """
            SELECT 'CREATE on schema parley' FROM pg_namespace n
            WHERE n.nspname = 'parley'
                AND NOT (has_schema_privilege(n.oid, 'CREATE') AND has_schema_privilege(n.oid, 'USAGE'))
            """, remedy: { "`GRANT CREATE, USAGE ON SCHEMA parley TO \($0.role)`" })
    }

    /// As identifiers in SQL, and one as a text.
    private typealias Names = (database: String, role: String, roleText: String)

    private static func use(_ names: Names) -> String {
        "`SELECT parley.set_up_roles(node => \(names.roleText), app => NULL, read => NULL)` "
            + "as the role that runs the migrations"
    }

    /// - Parameter lacking: Gives a row with the name of the right when it is not there.
    private static func check(
        _ greeter: borrowing Greeter, _ lacking: String, remedy: (Names) -> String
    ) throws(SchemaError) {
        let rows: Rows
        do throws(PostgresError) {
            rows = try greeter.query(
                """
                SELECT r.lacking::text, current_database()::text, current_user::text, quote_ident(current_database()),
                    quote_ident(current_user), quote_literal(current_user)
                FROM (\(lacking)) r (lacking)
                """)
        } catch {
            throw .unreachable(reason: "\(error)")
        }
        guard let row = rows.first else { return }
        throw .missingRight(
            database: row.text(1), role: row.text(2), right: row.text(0),
            remedy: remedy((database: row.text(3), role: row.text(4), roleText: row.text(5))))
    }
}
