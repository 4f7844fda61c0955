package import ParleyCore

/// What became of the ids that one member sent on one socket: the rule that each is applied at most once.
///
/// Ids rise when first sent. Each is in flight until its batch is durable. A temporary error takes it out of flight
/// without settling it: it is deferred, and until the client has sent all deferred ids again, lowest first, nothing
/// else is let through, so that nothing overtakes.
package struct Ledger {
    package enum Verdict: Equatable {
        /// New: give it to the writer.
        case submit
        /// Applied before: acknowledge as a duplicate.
        case duplicate
        /// In flight: it will be acknowledged when it is durable.
        case awaited
        case refuse(RequestError)
        /// More was sent against temporary errors than any client has reason to: end the socket.
        case flood
    }

    /// Deferred ids of one room and socket.
    package static let deferredMax = 4_096

    private enum Flight {
        case first
        /// Sent again meanwhile: to be acknowledged.
        case repeated
        /// Answered with `unavailable`, but its batch may yet turn out to be durable.
        case open
    }

    private struct Deferred {
        var id: Int64
        var isApplied: Bool
        /// What the client was told.
        var code: RequestError.Code
    }

    private var settled: Marks
    private var inFlight: [Int64: Flight] = [:]
    /// The highest id that was ever sent.
    private var highest: Int64
    /// Ascending.
    private var deferred: [Deferred] = []
    private let inFlightMax: Int

    package init(marks: Marks, inFlightMax: Int) {
        self.settled = marks
        self.highest = marks.lastID
        self.inFlightMax = inFlightMax
    }

    package var isIdle: Bool { inFlight.isEmpty }

    /// What may be told as final: nothing at or above an id whose fate is open.
    package var marks: Marks {
        let open = min(
            inFlight.keys.min() ?? .max, deferred.first { !$0.isApplied }?.id ?? .max)
        guard open <= settled.lastID else { return settled }
        return Marks(lastID: open - 1, refused: settled.refused.filter { $0 < open })
    }

    /// The client sent `id`.
    package mutating func received(_ id: Int64) -> Verdict {
        if let first = deferred.first {
            guard id == first.id, inFlight[id] == nil else { return holdBack(id) }
            deferred.removeFirst()
            return first.isApplied ? .duplicate : admit(id)
        }
        if let flight = inFlight[id] {
            switch flight {
            case .first, .repeated:
                inFlight[id] = .repeated
                return .awaited
            case .open:
                return holdBack(id)
            }
        }
        if id <= settled.lastID {
            guard settled.refused.contains(id) else { return .duplicate }
            return .refuse(RequestError(.refusedBefore, "id \(id) was refused earlier in this room; use a new id"))
        }
        guard id > highest else {
            return .refuse(
                RequestError(
                    .badRequest, "id \(id) is not above \(highest), the highest sent to this room: ids must rise"))
        }
        return admit(id)
    }

    /// The change with `id` is durable. True when a repeat waits for an acknowledgement.
    package mutating func applied(_ id: Int64) -> Bool {
        let flight = inFlight.removeValue(forKey: id)
        settled.lastID = max(settled.lastID, id)
        if let index = deferred.firstIndex(where: { $0.id == id }) { deferred[index].isApplied = true }
        return flight == .repeated
    }

    /// The request with `id` was judged and will never be applied. True when the client has a temporary answer to it
    /// already: it will hear of this when it sends the id again.
    @discardableResult
    package mutating func refused(_ id: Int64) -> Bool {
        let flight = inFlight.removeValue(forKey: id)
        deferred.removeAll { $0.id == id }
        highest = max(highest, id)
        settled.lastID = max(settled.lastID, id)
        let index = settled.refused.firstIndex { $0 >= id } ?? settled.refused.count
        if index == settled.refused.count || settled.refused[index] != id {
            settled.refused.insert(id, at: index)
        }
        if settled.refused.count > Limits.refusedMax { settled.refused.removeFirst() }
        return flight == .open
    }

    /// A frame with `id` was malformed. Settles the id, unless it belongs to a request that was well-formed: false then.
    package mutating func malformed(_ id: Int64) -> Bool {
        guard id > highest || deferred.contains(where: { $0.id == id && !$0.isApplied }), inFlight[id] == nil
        else { return false }
        refused(id)
        return true
    }

    /// The request with `id` was not applied, and the client is to send it again. True when it was told so already.
    package mutating func returned(_ id: Int64) -> Bool {
        let flight = inFlight.removeValue(forKey: id)
        // What was left open is remembered since then, unless a join has given it up: its client never sends it again.
        if flight != .open { remember(id, isApplied: false, as: .unavailable) }
        return flight == .open
    }

    /// The batch with `id` takes too long and may yet turn out to be durable. True when the client is to be told
    /// `unavailable`: neither was it told so already, nor has the id come to its end.
    package mutating func leftOpen(_ id: Int64) -> Bool {
        switch inFlight[id] {
        case nil, .open: return false
        case .first, .repeated: break
        }
        inFlight[id] = .open
        remember(id, isApplied: false, as: .unavailable)
        return true
    }

    /// The client joined again: what waited to be sent again is given up.
    package mutating func rejoined() { deferred.removeAll() }

    private mutating func admit(_ id: Int64) -> Verdict {
        guard inFlight.count < inFlightMax else {
            remember(id, isApplied: false, as: .rateLimited)
            return .refuse(
                RequestError(
                    .rateLimited, "\(inFlightMax) requests to this room are unanswered; send \(id) again later"))
        }
        highest = max(highest, id)
        inFlight[id] = .first
        return .submit
    }

    private mutating func holdBack(_ id: Int64) -> Verdict {
        guard deferred.count < Self.deferredMax else { return .flood }
        // Of what is neither in flight nor deferred, all up to the highest settled id is settled.
        let isApplied = inFlight[id] == nil && id <= settled.lastID && !settled.refused.contains(id)
        // The same error as those before it.
        let code = deferred.first?.code ?? .unavailable
        remember(id, isApplied: isApplied, as: code)
        return .refuse(
            RequestError(code, "earlier requests to this room are to be sent again first, the lowest id first"))
    }

    /// Does nothing when the id is deferred already.
    private mutating func remember(_ id: Int64, isApplied: Bool, as code: RequestError.Code) {
        highest = max(highest, id)
        let index = deferred.firstIndex { $0.id >= id } ?? deferred.count
        if index < deferred.count, deferred[index].id == id { return }
        deferred.insert(Deferred(id: id, isApplied: isApplied, code: code), at: index)
    }
}
