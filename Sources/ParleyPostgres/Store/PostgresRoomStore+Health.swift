extension PostgresRoomStore {
    /// Whether a request would find a connection now. Asks nothing of the database: health checks come often.
    public var isReachable: Bool { registrar.generation != nil && reader.connection.generation != nil }
}
