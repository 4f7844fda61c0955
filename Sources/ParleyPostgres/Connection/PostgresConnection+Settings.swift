extension PostgresConnection {
    /// The last steps of a job that lets somebody else's code run: what that has changed of the session's settings, for what
    /// follows in the session or for the commit itself, is as it was before. Cursors that it leaves open would be read to
    /// their end at the commit, in nobody's time.
    var settingsRestored: [(Statement, [Parameter])] {
        let (sql, parameters) = Connector.setConfig(settings.sessionSettings, forTransaction: isPooled)
        return [
            (Self.closeStatement, []), (Self.resetStatement, []),
            (Statement(name: isPooled ? "restore-settings-pooled" : "restore-settings", sql: sql), parameters),
        ]
    }

    private static let closeStatement = Statement(name: "close-cursors", sql: "CLOSE ALL")
    private static let resetStatement = Statement(name: "reset-settings", sql: "RESET ALL")
}
