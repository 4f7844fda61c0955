/// What happens in the hub that an operator may want to know of.
package enum HubEvent: Sendable {
    case subscriptionFellBehind
    /// A room's log no longer held what this node had not read yet.
    case logHadHole
    case clientReset
}
