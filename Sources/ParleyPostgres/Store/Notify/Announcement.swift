internal import ParleyCore

/// What a node says to the others after a commit: `<writer>:<batch> <room>:<last_seq>:<roster_seq> …`, with 0 for
/// what it does not speak of, and `@<client_id>:<socket_no>` for each session that it has taken up, which counts only when it
/// is sealed.
///
/// SQL functions say the same within their transactions, as writer 0 and batch 0, and `-<room>:<claim>:<client_id>` for
/// a membership that they have ended, with `*` for those of all.
struct Announcement: Equatable, Sendable {
    static let channel = "parley"
    /// PostgreSQL refuses 8,000 bytes, and the transaction with it.
    static let bytesMax = 7_900
    static let partsMax = 250
    /// Stands for SQL functions. What they say comes with their commit, so that no number of a batch can be missed.
    static let sqlWriter: Int64 = 0
    private static let takeUpMark = UInt8(ascii: "@")
    private static let endedMark = UInt8(ascii: "-")
    private static let everybody = "*"

    var writer: Int64
    var batch: Int64
    var pointers: [RoomPointer]
    var takeUps: [SessionTakeUp]
    var ended: [EndedMembership]

    /// It ends sockets, so nobody else may say it: see `ChannelSeal`.
    var isForNodesAlone: Bool { !takeUps.isEmpty }

    /// One or more payloads, each with the writer and the batch. Without any part too: the batch must not be missed.
    var payloads: [String] {
        let head = "\(writer):\(batch)"
        let bytesMax = isForNodesAlone ? ChannelSeal.bytesMax : Self.bytesMax
        var payloads: [String] = []
        var payload = head
        var parts = 0
        func add(_ part: String) {
            if parts == Self.partsMax || payload.utf8.count + part.utf8.count > bytesMax {
                payloads.append(payload)
                payload = head
                parts = 0
            }
            payload += part
            parts += 1
        }
        for pointer in pointers { add(" \(pointer.room.value):\(pointer.lastSeq):\(pointer.rosterSeq)") }
        for takeUp in takeUps { add(" @\(takeUp.clientID.text):\(takeUp.number)") }
        for end in ended { add(" -\(end.room.value):\(end.claim):\(end.clientID?.text ?? Self.everybody)") }
        return payloads + [payload]
    }

    init(
        writer: Int64, batch: Int64, pointers: [RoomPointer] = [], takeUps: [SessionTakeUp] = [],
        ended: [EndedMembership] = []
    ) {
        self.writer = writer
        self.batch = batch
        self.pointers = pointers
        self.takeUps = takeUps
        self.ended = ended
    }

    /// nil for what neither a node nor a function has sent.
    init?(payload: [UInt8]) {
        var parts = payload.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)[...]
        guard payload.count <= Self.bytesMax, let head = parts.popFirst().flatMap(Self.numbers), head.count == 2,
            parts.count <= Self.partsMax
        else { return nil }
        (writer, batch) = (head[0], head[1])
        pointers = []
        takeUps = []
        ended = []
        pointers.reserveCapacity(parts.count)
        for part in parts {
            if part.first == Self.takeUpMark {
                guard let takeUp = Self.takeUp(part.dropFirst()) else { return nil }
                takeUps.append(takeUp)
            } else if part.first == Self.endedMark {
                guard let end = Self.endedMembership(part.dropFirst()) else { return nil }
                ended.append(end)
            } else {
                guard let numbers = Self.numbers(part), numbers.count == 3 else { return nil }
                pointers.append(
                    RoomPointer(room: RoomNumber(numbers[0]), lastSeq: numbers[1], rosterSeq: numbers[2]))
            }
        }
    }

    private static func takeUp(_ text: some Collection<UInt8>) -> SessionTakeUp? {
        let sides = text.split(separator: UInt8(ascii: ":"), maxSplits: 1)
        guard sides.count == 2, let clientID = ClientID(String(decoding: sides[0], as: UTF8.self)),
            let numbers = numbers(sides[1]), numbers.count == 1
        else { return nil }
        return SessionTakeUp(clientID: clientID, number: numbers[0])
    }

    private static func endedMembership(_ text: some Collection<UInt8>) -> EndedMembership? {
        let sides = text.split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
        guard sides.count == 3, let room = numbers(sides[0]), room.count == 1, let claim = numbers(sides[1]),
            claim.count == 1
        else { return nil }
        let name = String(decoding: sides[2], as: UTF8.self)
        let clientID = ClientID(name)
        guard clientID != nil || name == everybody else { return nil }
        return EndedMembership(room: RoomNumber(room[0]), claim: claim[0], clientID: clientID)
    }

    /// Digits between colons, each number within an `Int64`.
    private static func numbers(_ text: some Collection<UInt8>) -> [Int64]? {
        var numbers: [Int64] = []
        var number: Int64?
        for byte in text {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                let (scaled, overflows) = (number ?? 0).multipliedReportingOverflow(by: 10)
                let (sum, overflowsAgain) = scaled.addingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
                guard !overflows, !overflowsAgain else { return nil }
                number = sum
            case UInt8(ascii: ":"):
                guard let whole = number else { return nil }
                numbers.append(whole)
                number = nil
            default: return nil
            }
        }
        guard let last = number else { return nil }
        return numbers + [last]
    }
}
