import ParleyCore
import TestPostgres
import Testing

@testable import ParleyPostgres

@Suite("Order of sockets", .heavy)
struct TakeUpOrderTests {
    @Test("a socket that was opened before the one that goes on comes too late, whenever its node says so")
    func openedEarlier() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore("n1") { one in
                try await database.withStore("n2") { two in
                    try await waitUntil {
                        one.clock.milliseconds(at: .now) != nil && two.clock.milliseconds(at: .now) != nil
                    }
                    let ann = identity("ann")
                    func takeUp(_ store: PostgresRoomStore, ago: Duration) async throws(StoreError) -> Int64? {
                        try await store.takeUp(
                            ann, shown: 0, openedAt: .now - ago, endedWithin: nil, isWanted: { true })?.number
                    }
                    let first = try #require(try await takeUp(one, ago: .zero))
                    await #expect(throws: StoreError.self) { try await takeUp(two, ago: .seconds(2)) }
                    let second = try #require(try await takeUp(two, ago: .zero))
                    #expect(second > first)
                    // Far apart: the clock was set back, rather.
                    #expect(try #require(try await takeUp(one, ago: .seconds(3_600))) > second)
                    #expect(try #require(try await takeUp(two, ago: .zero)) > second)
                    _ = try await two.lapse([LostSocket(session: ann.key, number: nil, ago: .zero)])
                    #expect(try await takeUp(one, ago: .seconds(2)) != nil, "the later one is gone")
                }
            }
        }
    }
}
