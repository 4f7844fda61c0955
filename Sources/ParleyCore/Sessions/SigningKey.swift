/// 32 secret bytes, known to all nodes. Never logged.
public struct SigningKey: Sendable, Equatable {
    /// Goes with each token. The highest is the newest.
    public var number: Int32
    public var bytes: [UInt8]
    /// How long there has been a newer one; nil for the newest.
    public var supersededFor: Duration?

    public init(number: Int32, bytes: [UInt8], supersededFor: Duration? = nil) {
        self.number = number
        self.bytes = bytes
        self.supersededFor = supersededFor
    }
}
