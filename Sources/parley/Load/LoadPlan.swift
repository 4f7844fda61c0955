import ParleyClient

struct LoadPlan: Sendable {
    var nodes: [NodeAddress]
    var rooms: Int
    var members: Int
    /// Messages a second, all members together.
    var rate: Double
    /// Bytes of a message's JSON text.
    var size: Int
    var warmup: Duration
    var measured: Duration
}
