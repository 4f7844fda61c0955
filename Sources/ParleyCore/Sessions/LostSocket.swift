/// A socket of this node that is gone.
public struct LostSocket: Sendable, Hashable {
    public var session: SessionKey
    /// nil when the store's answer to the taking up was lost with it: the session's newest one, if it was of this node.
    public var number: Int64?
    /// How long it has been gone.
    public var ago: Duration

    public init(session: SessionKey, number: Int64?, ago: Duration) {
        self.session = session
        self.number = number
        self.ago = ago
    }
}
