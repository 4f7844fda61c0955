import ParleyCore

/// The parts that several frames have in common.
extension JSONWriter {
    mutating func members(of marks: Marks) {
        member("lastId", integer: marks.lastID)
        guard !marks.refused.isEmpty else { return }
        name("refused")
        array(marks.refused) { $0.integer($1) }
    }

    mutating func members(of values: RoomValues) {
        name("values")
        raw(values.values)
        name("versions")
        raw(values.versions)
    }

    mutating func clients(_ members: [Member]?) {
        guard let members else { return }
        name("clients")
        array(members) { $0.entry($1) }
    }

    mutating func entry(_ member: Member) {
        object { out in
            out.member("clientId", string: member.clientID.text)
            if let userID = member.userID { out.member("userId", string: userID) }
            if let profile = member.profile {
                out.name("profile")
                out.raw(profile)
            }
        }
    }

    mutating func changes(_ runs: [Run]) {
        name("changes")
        array(runs) { $0.raw($1.body) }
    }

    mutating func state(_ snapshot: Snapshot, withValues: Bool) {
        name("state")
        object { out in
            out.member("from", integer: snapshot.runs.first?.from ?? snapshot.end.seq + 1)
            out.member("to", integer: snapshot.end.seq)
            out.member("position", string: snapshot.end.description)
            out.changes(snapshot.runs)
            if withValues { out.members(of: snapshot.values ?? .none) }
            switch snapshot.continuity {
            case .continues: out.member("reset", bool: false)
            case .reset: out.member("reset", bool: true)
            case .diverged:
                out.member("reset", bool: true)
                out.member("diverged", bool: true)
            }
        }
    }
}
