/// That a session was taken up, as nodes tell each other: by the public name, since the key is secret.
public struct SessionTakeUp: Sendable, Hashable {
    public var clientID: ClientID
    /// Of the socket that has the session now.
    public var number: Int64

    public init(clientID: ClientID, number: Int64) {
        self.clientID = clientID
        self.number = number
    }
}
