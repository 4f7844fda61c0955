package import NIOCore
package import ParleyCore

/// One member's input on its way to the log.
package struct Input: Sendable {
    package var ticket: Ticket
    package var member: ClientID
    /// The member's own (`Enrolled.claim`). When another node has taken the member since, this must not be applied.
    package var claim: Int64
    /// A place that the room had reached when the input came.
    package var after: Seq
    /// The change as it will stand in the log: one JSON object.
    package var change: [UInt8]
    /// What it does to the shared values, for which it has to be judged; nil when it does nothing to them.
    package var set: ValueSet?
    /// The room has a rule, for which it has to be judged.
    package var isRuled: Bool
    package var deadline: NIODeadline

    package init(
        ticket: Ticket, member: ClientID, claim: Int64, after: Seq, change: [UInt8], set: ValueSet? = nil,
        isRuled: Bool = false, deadline: NIODeadline
    ) {
        self.ticket = ticket
        self.member = member
        self.claim = claim
        self.after = after
        self.change = change
        self.set = set
        self.isRuled = isRuled
        self.deadline = deadline
    }
}
