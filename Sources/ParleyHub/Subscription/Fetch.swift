import ParleyCore

/// One question of a subscription for what it is missing.
package struct Fetch: Hashable, Sendable {
    let subscription: SubscriptionID
    let number: UInt64
    /// The loop of the subscription.
    let loop: Int
    let clientID: ClientID
    let room: RoomNumber
    let roomID: RoomID
    /// What the client has of the log.
    let after: Seq
    /// What it knows of the roster; nil when it does not want to.
    let rosterSeq: Int64?
}
