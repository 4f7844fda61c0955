package import ParleyCore
import TestRandom
package import Testing

/// One room of a store, with what was put into it.
package struct StoreRoom {
    package let store: any RoomStore
    package let id: RoomID
    package let number: RoomNumber
    /// To be sent with appends.
    package let claim: Int64
    /// Somebody who is in the room from the start, so that it can be reached by its number.
    package let host: SessionIdentity
    /// All changes so far, and the tag of the chunk in which each lies.
    package private(set) var changes: [(text: String, tag: ParleyCore.Tag)] = []

    package init(_ store: any RoomStore, retainMessages: Int64? = nil) async throws {
        self.store = store
        id = .made()
        host = .made()
        _ = try await store.createRoom(RoomCreation(id: id, retainMessages: retainMessages))
        let enrolled = try await store.enroll(Enrollment(room: id, session: host))
        number = enrolled.room
        claim = enrolled.claim
    }

    package var last: Seq { Seq(changes.count) }

    package func enroll(_ session: SessionIdentity, profile: String? = nil) async throws -> Enrolled {
        try await store.enroll(Enrollment(room: id, session: session, profile: profile.map { Array($0.utf8) }))
    }

    package func withdraw(_ session: SessionIdentity) async throws -> Withdrawn {
        try await store.withdraw(Withdrawal(room: number, session: session.key))
    }

    /// One chunk. Returns the place before it.
    @discardableResult
    package mutating func append(
        _ texts: [String], tag: ParleyCore.Tag? = nil, claim: Int64? = nil
    ) async throws -> Seq {
        let tag = tag ?? .random(in: .min ... .max)
        let append = Append(
            room: number, claim: claim ?? self.claim, count: texts.count, tag: tag,
            body: Array(texts.joined(separator: ",").utf8))
        let outcomes = try await store.append([append])
        #expect(outcomes == [.applied(base: last)])
        let base = last
        changes += texts.map { ($0, tag) }
        return base
    }

    /// So many chunks of so many changes, each of which says its place and has another length.
    package mutating func fill(chunks: Int, of count: Int) async throws {
        for _ in 0..<chunks {
            let texts = (0..<count).map { index in
                let seq = last + Seq(index) + 1
                return Self.change(
                    by: host, id: seq, "\"\(seq),},{\(String(repeating: "x", count: Int(seq % 7) * 3))\"")
            }
            try await append(texts)
        }
    }

    package static func change(by session: SessionIdentity, id: Int64? = nil, _ message: String = "{}") -> String {
        let id = id.map { ",\"id\":\($0)" } ?? ""
        return "{\"clientId\":\"\(session.clientID.text)\"\(id),\"at\":0,\"message\":\(message)}"
    }

    package func snapshot(_ want: SnapshotRequest.Want, bytesMax: Int = 1_000_000) async throws -> Snapshot {
        try await store.snapshot(SnapshotRequest(room: number, want: want, bytesMax: bytesMax))
    }

    package func history(
        after: Seq? = nil, before: Seq? = nil, limit: Int = 1_000, bytesMax: Int = 1_000_000
    ) async throws -> HistoryPage {
        try await store.history(
            HistoryRequest(room: number, after: after, before: before, limit: limit, bytesMax: bytesMax))
    }

    /// The changes from one place to another, as they must stand in a body.
    package func body(_ from: Seq, _ to: Seq) -> [UInt8] {
        guard from <= to else { return [] }
        return Array(changes[Int(from) - 1..<Int(to)].map(\.text).joined(separator: ",").utf8)
    }

    /// The place at `seq`, which must not be 0.
    package func position(at seq: Seq) -> Position { Position(seq: seq, tag: changes[Int(seq) - 1].tag) }

    /// Runs must follow each other, hold what was appended, and end with the tag of their chunk.
    package func expectGapless(_ runs: [Run], sourceLocation: SourceLocation = #_sourceLocation) {
        for (former, next) in zip(runs, runs.dropFirst()) {
            #expect(former.to + 1 == next.from, sourceLocation: sourceLocation)
        }
        for run in runs {
            #expect(run.body == body(run.from, run.to), sourceLocation: sourceLocation)
            #expect(run.end == position(at: run.to), sourceLocation: sourceLocation)
        }
    }
}

extension SessionStore {
    /// Of a session that is not over.
    package func takeUp(_ session: SessionIdentity) async throws -> TakenUp {
        try #require(try await takeUp(session, shown: nil, openedAt: .now, endedWithin: nil, isWanted: { true }))
    }
}

extension RoomID {
    package static func made() -> RoomID {
        var random = SeededGenerator(seed: .random(in: .min ... .max))
        return .random(using: &random)
    }
}

extension SessionIdentity {
    package static func made(userID: String? = nil) -> SessionIdentity {
        var random = SeededGenerator(seed: .random(in: .min ... .max))
        return SessionIdentity(key: .random(using: &random), clientID: .random(using: &random), userID: userID)
    }
}
