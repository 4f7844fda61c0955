/// A socket among those of its session.
public struct SessionSocket: Sendable, Hashable {
    public var session: SessionKey
    public var number: Int64

    public init(session: SessionKey, number: Int64) {
        self.session = session
        self.number = number
    }
}
