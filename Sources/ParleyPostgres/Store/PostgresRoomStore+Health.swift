extension PostgresRoomStore {
    /// Whether a request would find a connection now, and a database that takes this node for alive. Asks nothing of it:
    /// health checks come often.
    public var isReachable: Bool {
        registrar.generation != nil && reader.connection.generation != nil && heartbeat.isTrusted
    }
}
