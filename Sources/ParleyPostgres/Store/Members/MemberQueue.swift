internal import ParleyCore

/// One caller's join or leave.
struct MemberRequest: Sendable {
    enum Order: Sendable {
        case join(Enrollment)
        case leave(Withdrawal)
    }
    let id: Int
    let order: Order
    let deadline: ContinuousClock.Instant

    var session: SessionKey {
        switch order {
        case .join(let enrollment): enrollment.session.key
        case .leave(let withdrawal): withdrawal.session
        }
    }
}

/// Joins and leaves that wait for the statement under way to end. Decides what goes together into the next one.
///
/// A session's requests to one room keep their order, and no batch holds two of them. Requests to rooms that a foreign
/// transaction holds wait aside, so that they hold up nobody else.
struct MemberQueue {
    /// One statement's worth: its answer must fit a socket's buffer.
    static let batchMax = 512
    static let lengthMax = 16_384

    private var waiting: [MemberRequest] = []
    private var aside: [MemberRequest] = []
    /// The rooms of those aside, under both names.
    private var lockedIDs: Set<RoomID> = []
    private var lockedNumbers: Set<RoomNumber> = []

    var isEmpty: Bool { waiting.isEmpty && aside.isEmpty }
    var hasAside: Bool { !aside.isEmpty }

    /// False when there is no room for it.
    mutating func add(_ request: MemberRequest) -> Bool {
        guard waiting.count + aside.count < Self.lengthMax else { return false }
        waiting.append(request)
        return true
    }

    /// The oldest that may go together now. Those for locked rooms are set aside on the way.
    mutating func nextBatch() -> [MemberRequest] {
        var selection = Selection()
        var kept: [MemberRequest] = []
        var index = 0
        while index < waiting.count, !selection.isFull {
            let request = waiting[index]
            index += 1
            if isLocked(request) {
                aside.append(request)
            } else if !selection.take(request) {
                kept.append(request)
            }
        }
        waiting.replaceSubrange(..<index, with: kept)
        return selection.batch
    }

    /// The oldest of those aside that may go together. They stay aside in the eyes of later ones until `returned`.
    mutating func nextAside() -> [MemberRequest] {
        var selection = Selection()
        aside = aside.filter { selection.isFull || !selection.take($0) }
        return selection.batch
    }

    /// These rooms were locked; `room` is nil for one whose number is not known.
    mutating func setAside(_ requests: [(request: MemberRequest, room: RoomNumber?)]) {
        aside = requests.map(\.request) + aside
        for (request, room) in requests {
            if let room { lockedNumbers.insert(room) }
            switch request.order {
            case .join(let enrollment): lockedIDs.insert(enrollment.room)
            case .leave(let withdrawal): lockedNumbers.insert(withdrawal.room)
            }
        }
        forgetRoomsWhenDone()
    }

    /// To be called after what `nextAside` gave has been answered or set aside again.
    mutating func forgetRoomsWhenDone() {
        guard aside.isEmpty else { return }
        lockedIDs = []
        lockedNumbers = []
    }

    /// Takes out those whose time is over.
    mutating func expire(at now: ContinuousClock.Instant) -> [MemberRequest] {
        let late = (waiting + aside).filter { $0.deadline <= now }
        guard !late.isEmpty else { return [] }
        waiting.removeAll { $0.deadline <= now }
        aside.removeAll { $0.deadline <= now }
        forgetRoomsWhenDone()
        return late
    }

    private func isLocked(_ request: MemberRequest) -> Bool {
        switch request.order {
        case .join(let enrollment): lockedIDs.contains(enrollment.room)
        case .leave(let withdrawal): lockedNumbers.contains(withdrawal.room)
        }
    }

    /// A batch in the making. A session is in it with joins only or with leaves only, since joins name the room by its
    /// id and leaves by its number; and once a request of it has to wait, so do all after it.
    private struct Selection {
        private enum Rooms {
            case joined(Set<RoomID>)
            case left(Set<RoomNumber>)
            case waits
        }
        private(set) var batch: [MemberRequest] = []
        private var sessions: [SessionKey: Rooms] = [:]

        var isFull: Bool { batch.count == MemberQueue.batchMax }

        /// False when it has to wait for a later batch.
        mutating func take(_ request: MemberRequest) -> Bool {
            let next = rooms(of: sessions[request.session], adding: request.order)
            sessions[request.session] = next ?? .waits
            guard next != nil else { return false }
            batch.append(request)
            return true
        }

        private func rooms(of present: Rooms?, adding order: MemberRequest.Order) -> Rooms? {
            switch (present, order) {
            case (nil, .join(let enrollment)): return .joined([enrollment.room])
            case (nil, .leave(let withdrawal)): return .left([withdrawal.room])
            case (.joined(var rooms), .join(let enrollment)):
                return rooms.insert(enrollment.room).inserted ? .joined(rooms) : nil
            case (.left(var rooms), .leave(let withdrawal)):
                return rooms.insert(withdrawal.room).inserted ? .left(rooms) : nil
            case (.joined, .leave), (.left, .join), (.waits, .join), (.waits, .leave): return nil
            }
        }
    }
}
