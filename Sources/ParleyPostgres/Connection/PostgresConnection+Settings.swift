extension PostgresConnection {
    /// The last steps of a job that lets somebody else's code run: what that has changed of the session's settings, for what
    /// follows in the session or for the commit itself, is as it was before.
    var settingsRestored: [(Statement, [Parameter])] {
        let (sql, parameters) = Connector.setConfig(settings.sessionSettings, forTransaction: isPooled)
        return [
            (Self.resetStatement, []),
            (Statement(name: isPooled ? "restore-settings-pooled" : "restore-settings", sql: sql), parameters),
        ]
    }

    private static let resetStatement = Statement(name: "reset-settings", sql: "RESET ALL")
}
