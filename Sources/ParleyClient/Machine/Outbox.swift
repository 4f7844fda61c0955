import DequeModule
import NIOCore
import ParleyCore

/// The messages of one room: which are sent, which wait, and what becomes of each. So that every message is applied at most
/// once, and those of this client in the order in which they were given.
struct Outbox: Sendable {
    /// Messages that were given and not yet sent.
    static let waitingMax = 4_096
    /// Settled ids whose messages are kept: a node may still ask for them again.
    static let settledKept = 256
    /// What a node may ask to wait before a repeat.
    static let retryMs: ClosedRange<Int64> = 10...30_000

    private enum Phase {
        /// To be sent, for the first time on this socket or again.
        case due
        case sent
        /// Answered with a temporary error: to be sent again after the pause, even if an update has shown it meanwhile.
        case held
    }

    private struct Entry {
        var id: Int64
        var clientID: String
        var message: String
        /// nil once the caller has its answer.
        var request: Int?
        var phase: Phase
        /// A node has said that it is applied; its place comes with an update.
        var isAcknowledged = false
    }

    let room: RoomID
    /// Ascending by id. At most `inFlightMax`.
    private var entries: Deque<Entry> = []
    private var waiting: Deque<(message: String, request: Int)> = []
    private var settled: Deque<Entry> = []
    private var clientID: String?
    private var nextID: Int64 = 1
    private var inFlightMax = 1
    private var frameBytesMax = Int.max
    private var isOpen = false
    /// Entries may be due.
    private var hasDue = false
    /// The pause after a temporary error.
    private(set) var isPausing = false

    init(room: RoomID) { self.room = room }

    var isEmpty: Bool { entries.isEmpty && waiting.isEmpty }

    // MARK: - From the caller

    mutating func add(_ message: String, request: Int, _ out: inout [ClientAction]) {
        guard waiting.count < Self.waitingMax else {
            return out.append(.settle(request: request, .failure(.tooManyWaiting)))
        }
        waiting.append((message, request))
        flush(&out)
    }

    // MARK: - From the node

    /// The room was joined. On a new socket `lastID` is final: what an older one sent above it will not be applied any more.
    mutating func joined(
        as clientID: String, lastID: Int64, refused: [Int64], inFlightMax: Int, frameBytesMax: Int?,
        onNewSocket: Bool, _ out: inout [ClientAction]
    ) {
        if self.clientID == clientID {
            if lastID >= nextID { out.append(.violation("\(room): lastId \(lastID), \(nextID - 1) is the last sent")) }
            nextID = max(nextID, lastID + 1)
        } else {
            nextID = lastID + 1
        }
        self.clientID = clientID
        self.inFlightMax = max(1, inFlightMax)
        self.frameBytesMax = frameBytesMax ?? .max
        settled.removeAll()
        var kept: Deque<Entry> = []
        for var entry in entries {
            guard let request = entry.request else { continue }
            if entry.clientID != clientID {
                // Of a session that is over: sent again it could be there twice.
                if !entry.isAcknowledged {
                    out.append(.settle(request: request, .failure(.outcomeUnknown)))
                    continue
                }
            } else if entry.id > lastID {
                if entry.isAcknowledged, onNewSocket {
                    out.append(.violation("\(room): \(entry.id) was acknowledged, and lastId is \(lastID)"))
                }
                if !entry.isAcknowledged { entry.phase = .due }
            } else if refused.contains(entry.id) {
                if entry.isAcknowledged {
                    out.append(.violation("\(room): \(entry.id) was acknowledged, and is listed as refused"))
                }
                let error = ClientError.refused(code: "refused_before", reason: "the node refused it")
                out.append(.settle(request: request, .failure(error)))
                continue
            } else {
                entry.isAcknowledged = true
                entry.phase = .sent
            }
            kept.append(entry)
        }
        entries = kept
        hasDue = true
        isOpen = true
        stopPause(&out)
        flush(&out)
    }

    /// Nothing can be sent for now.
    mutating func interrupted(_ out: inout [ClientAction]) {
        isOpen = false
        stopPause(&out)
    }

    /// The change stands in the log.
    mutating func shown(clientID: String, id: Int64, seq: Seq, _ out: inout [ClientAction]) {
        guard let index = index(of: id), entries[index].clientID == clientID else { return }
        if let request = entries[index].request {
            out.append(.settle(request: request, .success(.durable(seq))))
            entries[index].request = nil
        }
        entries[index].isAcknowledged = true
        if entries[index].phase != .held { settle(index) }
        flush(&out)
    }

    /// A repeat was answered: it is applied.
    mutating func acknowledged(_ id: Int64, _ out: inout [ClientAction]) {
        guard let index = index(of: id) else {
            if id >= nextID { out.append(.violation("\(room): an ack for \(id), which was never sent")) }
            return
        }
        entries[index].isAcknowledged = true
        entries[index].phase = .sent
        if entries[index].request == nil { settle(index) }
        flush(&out)
    }

    mutating func failed(_ id: Int64, _ failure: NodeFrame.Failure, _ out: inout [ClientAction]) {
        guard id < nextID else {
            return out.append(.violation("\(room): `\(failure.code)` for \(id), which was never sent"))
        }
        guard failure.isTemporary else {
            let known = index(of: id).map { entries[$0] } ?? settled.first { $0.id == id }
            if known?.isAcknowledged == true {
                out.append(.violation("\(room): `\(failure.code)` for \(id), which is applied"))
            }
            guard let index = index(of: id) else { return }
            if let request = entries[index].request {
                let error = ClientError.refused(code: failure.code, reason: failure.reason)
                out.append(.settle(request: request, .failure(error)))
            }
            settle(index)
            return flush(&out)
        }
        guard let index = index(of: id) ?? recall(id) else { return }
        entries[index].phase = .held
        if !isPausing {
            isPausing = true
            let pause = min(max(failure.retryMs ?? 0, Self.retryMs.lowerBound), Self.retryMs.upperBound)
            out.append(.alarm(.room(room), .exactly(pause)))
        }
    }

    /// The pause is over: what was held goes out again, the lowest first.
    mutating func pauseEnded(_ out: inout [ClientAction]) {
        isPausing = false
        for index in entries.indices where entries[index].phase == .held { entries[index].phase = .due }
        hasDue = true
        flush(&out)
    }

    /// The log was skipped up to some place: what is applied and was not seen will not be seen.
    mutating func skipped(_ out: inout [ClientAction]) {
        for index in entries.indices.reversed() where entries[index].isAcknowledged && entries[index].phase == .sent {
            if let request = entries[index].request {
                out.append(.settle(request: request, .success(.durable(nil))))
                entries[index].request = nil
            }
            settle(index)
        }
    }

    /// The membership is over.
    ///
    /// - Parameter lastID: as the node said at the end, after all other answers; nil when it could not.
    mutating func ended(lastID: Int64?, _ out: inout [ClientAction]) {
        for entry in entries {
            guard let request = entry.request else { continue }
            if entry.isAcknowledged || lastID.map({ entry.id <= $0 }) == true {
                out.append(.settle(request: request, .success(.durable(nil))))
            } else {
                out.append(.settle(request: request, .failure(lastID == nil ? .outcomeUnknown : .notSent)))
            }
        }
        for (_, request) in waiting { out.append(.settle(request: request, .failure(.notSent))) }
        entries = []
        waiting = []
        isOpen = false
        stopPause(&out)
    }

    // MARK: - Sending

    private mutating func flush(_ out: inout [ClientAction]) {
        guard isOpen, !isPausing else { return }
        if hasDue {
            for index in entries.indices where entries[index].phase == .due {
                entries[index].phase = .sent
                let (id, message) = (entries[index].id, entries[index].message)
                out.append(.send(ClientFrameText.message(id: id, room: room, message: message)))
            }
            hasDue = false
        }
        guard let clientID else { return }
        while entries.count < inFlightMax, let (message, request) = waiting.popFirst() {
            let text = ClientFrameText.message(id: nextID, room: room, message: message)
            // The node would not answer: it would end the connection, and the client with it.
            guard text.readableBytes <= frameBytesMax else {
                let error = ClientError.refused(code: "too_large", reason: "this is too large for a frame")
                out.append(.settle(request: request, .failure(error)))
                continue
            }
            entries.append(
                Entry(id: nextID, clientID: clientID, message: message, request: request, phase: .sent))
            out.append(.send(text))
            nextID += 1
        }
    }

    private mutating func stopPause(_ out: inout [ClientAction]) {
        guard isPausing else { return }
        isPausing = false
        out.append(.silence(.room(room)))
    }

    // MARK: - Looking up

    private mutating func settle(_ index: Int) {
        settled.append(entries.remove(at: index))
        if settled.count > Self.settledKept { settled.removeFirst() }
    }

    private mutating func recall(_ id: Int64) -> Int? {
        guard let old = settled.firstIndex(where: { $0.id == id }) else { return nil }
        let entry = settled.remove(at: old)
        let index = entries.firstIndex { $0.id > id } ?? entries.count
        entries.insert(entry, at: index)
        return index
    }

    private func index(of id: Int64) -> Int? {
        // Ids are nearly always consecutive, and the lowest is asked for most.
        guard let first = entries.first?.id, id >= first else { return nil }
        let guess = Int(id - first)
        if guess < entries.count, entries[guess].id == id { return guess }
        return entries.firstIndex { $0.id == id }
    }
}
