import ParleyClient

struct LoadPlan: Sendable {
    var nodes: [NodeAddress]
    var rooms: Int
    var members: Int
    /// Further members, of all rooms together, that read nothing after their join.
    var stalled: Int
    /// Messages a second, all members together.
    var rate: Double
    /// Bytes of a message's JSON text.
    var size: Int
    /// Of each room's members, how many send.
    var senders: Int
    /// What a member gets of its own messages does not count.
    var onlyOthers: Bool
    /// Each message has an `id`.
    var withIDs: Bool
    /// Which rule the rooms are made with.
    var rule: String?
    var warmup: Duration
    var measured: Duration

    /// Of one message.
    var deliveries: Int { onlyOthers ? members - 1 : members }
}
