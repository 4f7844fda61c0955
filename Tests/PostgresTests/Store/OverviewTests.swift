import ParleyCore
import TestPostgres
import Testing

@testable import ParleyPostgres

@Suite("One look at the cluster", .heavy)
struct OverviewTests {
    @Test("tells of each node what parley.nodes does, and of the rooms that are asked for what parley.rooms does")
    func overview() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                let rooms = try await store.makeRooms(3)
                try await store.add(["1", "2"], to: rooms[0])
                _ = try await store.enroll(join("r1", "ann"))
                _ = try await store.enroll(join("r2", "ann"))
                try await database.query("SELECT parley.close_room('r3')")

                let seen = try await store.overview(of: [rooms[1], rooms[0], rooms[2], RoomNumber(987_654)])
                #expect(
                    seen.rooms.sorted { $0.id.text < $1.id.text } == [
                        Overview.Room(id: room("r1"), lastSeq: 2, members: 1),
                        Overview.Room(id: room("r2"), lastSeq: 0, members: 1),
                    ])
                let node = try unwrap(seen.nodes.first)
                #expect(seen.nodes.count == 1)
                #expect(node.number == store.nodeNumber && node.isAlive && node.members == 2 && node.batches > 0)
                #expect((1...5_000).contains(try unwrap(node.leaseLeftMs)))
                #expect(node.ageMs >= 0)

                let later = try await store.overview(of: [])
                #expect(later.rooms == [])
                #expect(later.at >= seen.at)
            }
        }
    }

    @Test("leaves out nodes that died long ago, and the dead ones first when there are too many")
    func nodes() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                try await database.run(
                    """
                    INSERT INTO parley.node (name, version, dead_at)
                    SELECT 'old', 'test', clock_timestamp() - interval '1 hour' FROM generate_series(1, 9);
                    INSERT INTO parley.node (name, version, dead_at)
                    SELECT 'dead' || i, 'test', clock_timestamp() - i * interval '1 second' FROM generate_series(1, 99) i;
                    """)
                let nodes = try await store.overview(of: []).nodes
                #expect(nodes.count == Overview.nodesMax)
                #expect(nodes.first?.number == store.nodeNumber)
                #expect(nodes.dropFirst().map(\.name) == (1..<Overview.nodesMax).map { "dead\($0)" })
                #expect(nodes.dropFirst().allSatisfy { !$0.isAlive && $0.leaseLeftMs == nil && $0.address == nil })
            }
        }
    }
}
