import ParleyCore

extension StoreError {
    /// What the client is told. The reason of an outage is for the log alone.
    var forClient: RequestError {
        switch self {
        case .unavailable: RequestError(.unavailable, "the database could not be reached in time; send it again")
        case .roomNotFound: RequestError(.roomNotFound, "there is no room of this id; `create` makes one")
        case .roomExists:
            RequestError(.roomExists, "a room of this id exists; `join` it, or create with \"ifMissing\":true")
        case .invalid(let reason): RequestError(.badRequest, reason)
        }
    }
}
