/// What Parley keeps in PostgreSQL, as SQL.
public enum Schema {
    /// Oldest first, numbered 1, 2, 3 …
    public static let migrations: [Migration] = [
        Migration(number: 1, name: "initial", script: PackageResources._001_initial_sql),
        Migration(number: 2, name: "node_death", script: PackageResources._002_node_death_sql),
        Migration(number: 3, name: "session_takeup", script: PackageResources._003_session_takeup_sql),
        Migration(number: 4, name: "values", script: PackageResources._004_values_sql),
        Migration(number: 5, name: "retention", script: PackageResources._005_retention_sql),
        Migration(number: 6, name: "presence", script: PackageResources._006_presence_sql),
        Migration(number: 7, name: "marks", script: PackageResources._007_marks_sql),
        Migration(number: 8, name: "sql_api", script: PackageResources._008_sql_api_sql),
        Migration(number: 9, name: "operators_views", script: PackageResources._009_operators_views_sql),
        Migration(number: 10, name: "roles", script: PackageResources._010_roles_sql),
        Migration(number: 11, name: "rules", script: PackageResources._011_rules_sql),
        Migration(number: 12, name: "comments", script: PackageResources._012_comments_sql),
        Migration(number: 13, name: "retention_bound", script: PackageResources._013_retention_bound_sql),
        Migration(number: 14, name: "rules_held", script: PackageResources._014_rules_held_sql),
    ]

    /// Makes what the first migration needs: the schema, unless an administrator has made it, and the list of
    /// migrations. Harmless when both are there.
    public static let foundation = """
        DO $$
        BEGIN
            IF to_regnamespace('parley') IS NULL THEN
                CREATE SCHEMA parley;
                COMMENT ON SCHEMA parley IS
                    'Parley: real-time rooms. The views are for everyone; tables and functions belong to the nodes';
            END IF;
            IF to_regclass('parley.migration') IS NULL THEN
                CREATE TABLE parley.migration (
                    number integer NOT NULL,
                    name text NOT NULL,
                    applied_at timestamptz NOT NULL DEFAULT now(),
                    parley_version text NOT NULL,
                    older_nodes_go_on boolean NOT NULL,
                    CONSTRAINT migration_pkey PRIMARY KEY (number)
                );
                COMMENT ON TABLE parley.migration IS 'The migrations that this schema has';
                COMMENT ON COLUMN parley.migration.parley_version IS 'The version of Parley that applied it';
                COMMENT ON COLUMN parley.migration.older_nodes_go_on IS
                    'Whether nodes that do not know this migration may use the schema';
            END IF;
        END
        $$
        """

    /// Ends each migration: roles that have been given rights here get those to what is new.
    public static let grants = """
        DO $$
        BEGIN
            IF to_regprocedure('parley.renew_grants()') IS NOT NULL THEN
                PERFORM parley.renew_grants();
            END IF;
        END
        $$
        """
}

/// One step of the schema, forward only. It runs in a transaction.
public struct Migration: Sendable, Hashable {
    public let number: Int32
    public let name: String
    public let sql: String
    /// Nodes that do not know this migration may go on using the schema. Stated by the first line of the script:
    /// `-- older nodes: go on`, or `-- older nodes: stop`.
    public let olderNodesGoOn: Bool

    init(number: Int32, name: String, script: [UInt8]) {
        self.init(number: number, name: name, sql: String(decoding: script, as: UTF8.self))
    }

    public init(number: Int32, name: String, sql: String) {
        self.number = number
        self.name = name
        self.sql = sql
        self.olderNodesGoOn = sql.prefix { $0 != "\n" } == Self.goOn
    }

    private static let goOn = "-- older nodes: go on"
}
