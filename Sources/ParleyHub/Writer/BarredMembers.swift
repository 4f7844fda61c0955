/// Members of whom something was given up, until their loops know of it. What they send meanwhile would overtake what
/// they are told to send again.
struct BarredMembers {
    /// How many answers that gave something up each has under way.
    private var answers: [SubscriptionID: Int] = [:]

    func contains(_ subscription: SubscriptionID) -> Bool { answers[subscription] != nil }

    /// One answer to each of these is under way.
    mutating func add(_ subscriptions: Set<SubscriptionID>) {
        for subscription in subscriptions { answers[subscription, default: 0] += 1 }
    }

    /// One answer to each of these has arrived.
    mutating func readmit(_ subscriptions: Set<SubscriptionID>) {
        for subscription in subscriptions {
            guard let count = answers[subscription] else { continue }
            answers[subscription] = count > 1 ? count - 1 : nil
        }
    }
}
