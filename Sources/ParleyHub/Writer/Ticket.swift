/// Where the answer to an input goes.
package struct Ticket: Sendable, Hashable {
    /// The event loop of the socket.
    package var loop: Int
    package var subscription: SubscriptionID
    /// The `id` of the request; nil for one that wants no answer.
    package var request: Int64?

    package init(loop: Int, subscription: SubscriptionID, request: Int64?) {
        self.loop = loop
        self.subscription = subscription
        self.request = request
    }
}
