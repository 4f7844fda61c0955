import ParleyCore
import Testing

@testable import ParleyServer

@Suite("One look for all consoles")
struct ConsoleWatchTests {
    private actor Store: OverviewStore {
        var asked: [[RoomNumber]] = []

        func overview(of rooms: [RoomNumber]) async throws(StoreError) -> Overview {
            asked.append(rooms)
            if asked.count > 1 { throw .unavailable(reason: "away") }
            return Overview(at: 1, nodes: [], rooms: [])
        }
    }

    @Test("many who ask at once, and soon after, share one; what was seen stays when the next one fails")
    func shared() async throws {
        let store = Store()
        let watch = ConsoleWatch(store: store) { (1...99).map { RoomNumber($0) } }
        await withDiscardingTaskGroup { group in
            for _ in 1...50 {
                group.addTask {
                    let sight = await watch.current()
                    #expect(sight.overview?.at == 1 && sight.failure == nil)
                }
            }
        }
        #expect(await store.asked.map(\.count) == [ConsoleWatch.roomsMax])
        try await Task.sleep(for: ConsoleWatch.every)
        let sight = await watch.current()
        #expect(sight.overview?.at == 1)
        #expect(sight.failure == .unavailable(reason: "away"))
        #expect(await store.asked.count == 2)
    }
}
