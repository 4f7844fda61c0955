import ParleyCore

/// Refused ids of members that the log does not know of yet. They go with the next part that tells of a higher id of the
/// member, for that one raises the highest id that counts as settled.
struct UnloggedRefusals {
    private var refused: [SubscriptionID: RefusedIDs] = [:]
    /// Of those in `refused`: they have ended and send nothing more than what they have waiting.
    private var ended: Set<SubscriptionID> = []

    var hasEnded: Bool { !ended.isEmpty }

    func has(_ subscription: SubscriptionID) -> Bool { refused[subscription] != nil }

    mutating func add(_ more: [SubscriptionID: RefusedIDs]) {
        for (subscription, more) in more {
            let ids = Set(refused[subscription]?.ids ?? []).union(more.ids).sorted().suffix(Limits.refusedMax)
            refused[subscription] = RefusedIDs(clientID: more.clientID, ids: Array(ids))
        }
    }

    /// What goes with a part of these inputs: of each member only what lies below its highest id in the part. To whoever
    /// reads the log, all below the highest id that it tells of is settled, and below a refused one others may still be
    /// waiting to be sent again.
    mutating func take(for tickets: [Ticket]) -> [SubscriptionID: RefusedIDs] {
        guard !refused.isEmpty else { return [:] }
        var highest: [SubscriptionID: Int64] = [:]
        for ticket in tickets {
            guard let id = ticket.request, refused[ticket.subscription] != nil else { continue }
            highest[ticket.subscription] = max(highest[ticket.subscription] ?? 0, id)
        }
        var taken: [SubscriptionID: RefusedIDs] = [:]
        for (subscription, highest) in highest {
            guard let all = refused.removeValue(forKey: subscription) else { continue }
            let below = all.ids.prefix { $0 < highest }
            let above = all.ids.dropFirst(below.count)
            if !below.isEmpty { taken[subscription] = RefusedIDs(clientID: all.clientID, ids: Array(below)) }
            if !above.isEmpty { refused[subscription] = RefusedIDs(clientID: all.clientID, ids: Array(above)) }
        }
        return taken
    }

    /// The subscription has ended. Its ids are forgotten once it has nothing waiting, which `hasNothingWaiting` tells.
    mutating func end(_ subscription: SubscriptionID, hasMore: Bool) {
        guard has(subscription) else { return }
        ended.insert(subscription)
        if !hasMore { hasNothingWaiting([subscription]) }
    }

    /// Of those that have ended the ids are forgotten: nothing comes any more that could tell of them.
    mutating func hasNothingWaiting(_ subscriptions: some Sequence<SubscriptionID>) {
        guard !ended.isEmpty else { return }
        for subscription in subscriptions where ended.remove(subscription) != nil { refused[subscription] = nil }
    }
}
