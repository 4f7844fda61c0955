import NIOConcurrencyHelpers
import ParleyCluster
import ParleyCore
import TestPostgres
import Testing

@testable import ParleyPostgres

@Suite("A standby is promoted", .heavy)
struct FailoverTests {
    @Test("a lost tail: the node registers anew, says so, and what clients know of the lost part is told as diverged")
    func lostTail() async throws {
        let primary = try TestPostgres.makeServer()
        _ = try await primary.start()
        _ = try await primary.createDatabase("rooms")
        let replica = try await TestReplica.start(of: primary)
        let database = ScratchDatabase(url: try replica.urlOfBoth(database: "rooms"))
        try await Migrator(url: database.url, version: "test", logger: quietLogger).migrate()
        try await database.withStore { store in
            let changes = NIOLockedValueBox(0)
            store.onTimelineChange { changes.withLockedValue { $0 += 1 } }
            let room = try await store.makeRoom()
            #expect(try await store.add(["kept"], to: room, tag: 1) == .applied(base: 0))
            try await replica.catchUp()
            try await replica.cutOff()
            #expect(try await store.add(["lost"], to: room, tag: 2) == .applied(base: 1))
            let node = store.nodeNumber
            _ = try await primary.stop(.immediate)
            try await replica.promote()
            try await waitUntil { changes.withLockedValue { $0 } == 1 }
            #expect(store.nodeNumber != nil)
            #expect(store.nodeNumber != node || node == 1)

            var outcome: AppendOutcome?
            try await waitUntil {
                outcome = try? await store.add(["new"], to: room, tag: 3)
                return outcome != nil
            }
            #expect(outcome == .applied(base: 1))
            #expect(try await wholeLog(of: room, in: store) == ["kept", "new"])
            let lost = SnapshotRequest(
                room: room, want: .after(.position(Position(seq: 2, tag: 2))), bytesMax: 1_000_000)
            #expect(try await store.snapshot(lost).continuity == .diverged)
            let kept = SnapshotRequest(
                room: room, want: .after(.position(Position(seq: 1, tag: 1))), bytesMax: 1_000_000)
            #expect(try await store.snapshot(kept).continuity == .continues)
            #expect(changes.withLockedValue { $0 } == 1)

            // The former primary comes back beside the new one: nobody uses it any more.
            _ = try await primary.start()
            #expect(try await store.add(["newer"], to: room) == .applied(base: 2))
            let left = try await primary.query("SELECT last_seq FROM parley.rooms", database: "rooms")
            #expect(left == "2", "what was left behind stays as it was")
        }
        _ = try await replica.server.stop(.immediate)
        _ = try await primary.stop(.immediate)
    }
}

@Suite("Server timeline")
struct ServerTimelineTests {
    private func point(_ timeline: Int64, system: Int64 = 7) -> ServerTimeline.Point {
        ServerTimeline.Point(systemIdentifier: system, timeline: timeline)
    }

    @Test("a newer timeline is told once, an older one is refused from then on, another system is a new timeline")
    func verdicts() {
        let timeline = ServerTimeline {}
        #expect(timeline.met(point(1), as: "writer") == .known)
        #expect(timeline.met(point(1), as: "reader") == .known)
        #expect(timeline.met(point(2), as: "writer") == .newer)
        #expect(timeline.met(point(1), as: "reader") == .older(than: point(2)))
        #expect(timeline.met(point(2), as: "reader") == .known)
        #expect(timeline.met(point(1, system: 8), as: "reader") == .newer)
    }

    @Test("only connections to what was left behind are given up")
    func outdated() {
        let timeline = ServerTimeline {}
        let given = NIOLockedValueBox<[String]>([])
        for role in ["writer", "reader"] {
            timeline.follow(role) { given.withLockedValue { $0.append(role) } }
            _ = timeline.met(point(1), as: role)
        }
        _ = timeline.met(point(2), as: "reader")
        timeline.reconnectOutdated()
        #expect(given.withLockedValue { $0 } == ["writer"])
    }
}
