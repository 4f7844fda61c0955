import NIOCore

/// Decides when a silent peer is pinged, and when it is given up.
///
/// Hearing something only stores the time. The one timer is set again when it fires, so a busy socket costs
/// one timer per `pingAfter` and not one per frame.
struct SilenceClock {
    enum Verdict: Equatable {
        case look(again: NIODeadline)
        case ping(look: NIODeadline)
        case silent
    }

    private let pingAfter: TimeAmount
    private let silenceMax: TimeAmount
    private var lastHeard: NIODeadline
    private var hasPinged = false

    init(pingAfter: TimeAmount, silenceMax: TimeAmount, now: NIODeadline) {
        self.pingAfter = pingAfter
        self.silenceMax = silenceMax
        lastHeard = now
    }

    var firstLook: NIODeadline { lastHeard + pingAfter }

    mutating func heard(at now: NIODeadline) {
        lastHeard = now
        hasPinged = false
    }

    mutating func look(at now: NIODeadline) -> Verdict {
        if hasPinged { return .silent }
        guard now >= lastHeard + pingAfter else { return .look(again: lastHeard + pingAfter) }
        hasPinged = true
        // From now and not from `lastHeard`: a process that was stopped for a while must not blame its peers.
        return .ping(look: now + silenceMax)
    }
}
