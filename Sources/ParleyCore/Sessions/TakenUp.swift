/// The answer to the socket that took a session up.
public struct TakenUp: Sendable, Equatable {
    /// Of this socket.
    public var number: Int64
    /// The rooms of which the session is a member now.
    public var memberships: [Membership]

    public init(number: Int64, memberships: [Membership]) {
        self.number = number
        self.memberships = memberships
    }
}
