/// Who a session is, to the store and to other members.
public struct SessionIdentity: Hashable, Sendable {
    public let key: SessionKey
    public let clientID: ClientID
    /// The `sub` of the credential with which the session began.
    public let userID: String?

    public init(key: SessionKey, clientID: ClientID, userID: String? = nil) {
        self.key = key
        self.clientID = clientID
        self.userID = userID
    }
}
