/// Where a client stands. It goes on by itself from all but the last.
public enum ClientState: Sendable, Equatable {
    case connecting(NodeAddress)
    case open(node: String, clientID: String, isResumed: Bool)
    /// Until the next attempt.
    case waiting(because: String)
    case closed(ClientEnd)
}

/// Why a client does not go on.
public enum ClientEnd: Sendable, Equatable {
    case asked
    /// The session goes on at a newer socket, whose session it is now.
    case takenOver
    /// The node ended the connection with a code that forbids to come again: the client broke the protocol or a limit.
    case refused(code: Int)
    /// Nobody is let in with this credential, or without one.
    case notAdmitted
}
