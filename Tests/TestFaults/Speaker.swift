import NIOConcurrencyHelpers
import NIOCore
import ParleyClient

/// A client that speaks in a room and writes down everything.
final class Speaker: Sendable {
    /// Messages without an answer, beyond which it is silent.
    static let pendingMax = 2_000

    let number: Int
    let room: RoomRecord
    private let client: ParleyClient
    private let record: NIOLockedValueBox<SpeakerRecord>
    private let seat = NIOLockedValueBox<ClientRoom?>(nil)
    private let isBack: NIOLockedValueBox<Bool>

    init(number: Int, room: RoomRecord, addresses: [NodeAddress], group: any EventLoopGroup) {
        self.number = number
        self.room = room
        let record = NIOLockedValueBox(SpeakerRecord(number: number))
        let isBack = NIOLockedValueBox(false)
        self.record = record
        self.isBack = isBack
        client = ParleyClient.connect(
            addresses,
            handlers: ClientHandlers(
                onState: { state in Self.note(state, record, isBack) },
                onViolation: { text in record.withLockedValue { $0.violations.append(text) } }),
            group: group)
    }

    func join() async throws {
        _ = try await client.create(room.id, rule: room.isRuled ? Witness.rule : nil)
        let joined = try await client.join(room.id, recent: 0) { [weak self] in self?.take($0) }
        seat.withLockedValue { $0 = joined }
    }

    /// Returns whether it did.
    func speak() -> Bool {
        let next = record.withLockedValue { record -> Int? in
            guard record.pending < Self.pendingMax else { return nil }
            record.pending += 1
            record.outcomes.append(.pending)
            return record.outcomes.count
        }
        guard let next, let joined = seat.withLockedValue({ $0 }) else { return false }
        joined.send(json: Speech.text(speaker: number, number: next)) { [record] result in
            record.withLockedValue { record in
                record.pending -= 1
                record.outcomes[next - 1] =
                    switch result {
                    case .success(let seq?): .durable(seq)
                    case .success(nil): .durableSomewhere
                    case .failure(.outcomeUnknown): .unknown
                    case .failure(let error): .refused("\(error)")
                    }
            }
        }
        return true
    }

    func close() async { await client.close() }

    var written: SpeakerRecord { record.withLockedValue { $0 } }
    var progress: (end: Int64, pending: Int, roster: Set<String>) {
        record.withLockedValue { ($0.end, $0.pending, $0.roster) }
    }

    private func take(_ event: RoomEvent) {
        if case .changes(let changes) = event { room.saw(changes, by: number) }
        let comesBack = isBack.withLockedValue { isBack in
            defer { isBack = true }
            return !isBack
        }
        record.withLockedValue { record in
            if comesBack { record.moments.append((.now, .back)) }
            switch event {
            case .joined(let state):
                room.saw(state.changes, by: number)
                record.saw(state.changes, upTo: state.to, restarts: true)
            case .changes(let changes):
                record.saw(changes, upTo: changes.last?.seq ?? record.end, restarts: false)
            case .reset(let state):
                room.saw(state.changes, by: number)
                record.moments.append((.now, .reset(from: state.from, isDiverged: state.isDiverged)))
                if state.isDiverged { record.violations.append("told that the log it had seen is not this one") }
                record.saw(state.changes, upTo: state.to, restarts: true)
            case .members(let news): record.saw(news, at: .now)
            case .ended(.clientClosed): break
            case .ended(let end):
                record.violations.append("its membership ended: \(end)")
                record.moments.append((.now, .ended("\(end)")))
            }
        }
    }

    private static func note(
        _ state: ClientState, _ record: NIOLockedValueBox<SpeakerRecord>, _ isBack: NIOLockedValueBox<Bool>
    ) {
        switch state {
        case .connecting: break
        case .open(let node, let clientID, let isResumed):
            isBack.withLockedValue { $0 = false }
            record.withLockedValue { record in
                if !isResumed, !record.clientIDs.isEmpty { record.violations.append("its session was not taken up") }
                if record.clientIDs.last != clientID { record.clientIDs.append(clientID) }
                record.moments.append((.now, .open(node: node)))
            }
        case .waiting(let reason):
            record.withLockedValue { $0.moments.append((.now, .lost(reason))) }
        case .closed(.asked): break
        case .closed(let end):
            record.withLockedValue { record in
                record.violations.append("a node forbade it to go on: \(end)")
                record.moments.append((.now, .ended("\(end)")))
            }
        }
    }
}
