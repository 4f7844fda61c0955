internal import ParleyCore

/// Many joins and leaves in one call of `parley.change_members`: a function, because it needs several statements, each
/// with a new snapshot, while the server must have all of it before it takes the first lock.
enum MemberStatement {
    static let statement = Statement(
        name: "change-members",
        sql: """
            SELECT m.ix, m.outcome::text, m.room_no, m.claim, m.step, m.roster_seq, m.member_count, m.was_known,
                m.client_id, m.user_id, m.batch,
                (SELECT r.rule_no IS NOT NULL FROM parley.room r WHERE r.room_no = m.room_no)
            FROM parley.change_members(
                $1::int8, $2::int8, $3::int8, $4::int4, $5::bool, $6::int8[], $7::text[], $8::bytea[], $9::text[],
                $10::text[], $11::text[], $12::int8[]) m
            """)

    static func parameters(
        _ requests: [MemberRequest], term: WriterSeat.Term, lease: Duration, skipLocked: Bool
    ) -> [Parameter] {
        var rooms: [Int64?] = []
        var ids: [String?] = []
        var clients: [String?] = []
        var users: [String?] = []
        var profiles: [[UInt8]?] = []
        var sockets: [Int64?] = []
        for request in requests {
            switch request.order {
            case .join(let enrollment):
                rooms.append(nil)
                ids.append(enrollment.room.text)
                clients.append(enrollment.session.clientID.text)
                users.append(enrollment.session.userID)
                profiles.append(enrollment.profile)
                sockets.append(enrollment.socket)
            case .leave(let withdrawal):
                rooms.append(withdrawal.room.value)
                ids.append(nil)
                clients.append(nil)
                users.append(nil)
                profiles.append(nil)
                sockets.append(withdrawal.socket)
            }
        }
        return [
            .int8(term.writer), .int8(term.node.incarnation), .int8(term.epoch), .milliseconds(lease),
            .bool(skipLocked), .int8Array(rooms), .textArray(ids), .byteaArray(requests.map(\.session.bytes)),
            .textArray(clients), .textArray(users), .textArray(profiles), .int8Array(sockets),
        ]
    }

    /// The answer to one request.
    struct Answer: Sendable {
        enum Outcome: Sendable {
            case done
            /// Nothing was done: a newer socket has the session.
            case overtaken
            case locked
            case gone
            /// The function says something that this version does not know.
            case unknown(String)
        }
        var outcome: Outcome
        /// nil when there is no such room.
        var room: RoomNumber?
        var claim: Int64
        /// The number of the roster's step; nil when nothing changed.
        var step: Int64?
        var rosterSeq: Int64
        var count: Int
        /// The session had joined this room before.
        var wasKnown: Bool
        /// The room has a rule: it was given one when it was made, and keeps it.
        var isRuled: Bool
        /// Of a leave.
        var clientID: ClientID?
        var userID: String?
    }

    /// In the order of the requests; nil when the writer was fenced.
    static func answers(_ rows: Rows) -> (batch: Int64, answers: [Answer])? {
        guard let first = rows.first else { return nil }
        return (first.int8(10), rows.map(answer))
    }

    private static func answer(_ row: Row) -> Answer {
        let outcome: Answer.Outcome =
            switch row.text(1) {
            case "d": .done
            case "o": .overtaken
            case "l": .locked
            case "g": .gone
            case let letter: .unknown(letter)
            }
        return Answer(
            outcome: outcome, room: row.int8OrNil(2).map(RoomNumber.init), claim: row.int8OrNil(3) ?? 0,
            step: row.int8OrNil(4), rosterSeq: row.int8OrNil(5) ?? 0, count: Int(row.int4OrNil(6) ?? 0),
            wasKnown: row.boolOrNil(7) ?? false, isRuled: row.boolOrNil(11) ?? false,
            clientID: row.textOrNil(8).flatMap { ClientID($0) },
            userID: row.textOrNil(9))
    }
}
