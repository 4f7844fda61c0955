import ParleyCore
import Testing

@testable import ParleyServer

@Suite("Which rooms say most")
struct RoomActivityTests {
    private let local = (1...5).map { RoomNumber($0) }

    @Test("the busiest come first, then others in their order; who was busy stays in sight for some time")
    func busiest() {
        var activity = RoomActivity()
        #expect(activity.busiest(3, of: local) == local.prefix(3).map(\.self))
        for _ in 1...10 { activity.updated(RoomNumber(5)) }
        for _ in 1...3 { activity.updated(RoomNumber(4)) }
        #expect(activity.busiest(3, of: local) == [5, 4, 1].map { RoomNumber($0) })
        #expect(activity.busiest(2, of: local) == [5, 4].map { RoomNumber($0) })
        for _ in 1...60 { _ = activity.busiest(3, of: local) }
        #expect(activity.busiest(3, of: local) == local.prefix(3).map(\.self))
    }

    @Test("nothing is counted while nobody asks, nor of rooms that have gone")
    func unwatched() {
        var activity = RoomActivity()
        activity.updated(RoomNumber(5))
        #expect(activity.busiest(1, of: local) == [RoomNumber(1)])
        for _ in 1...2 { activity.updated(RoomNumber(5)) }
        #expect(activity.busiest(1, of: [RoomNumber(2)]) == [RoomNumber(2)])
        for _ in 0...RoomActivity.updatesMax { activity.updated(RoomNumber(5)) }
        #expect(activity.busiest(1, of: local) == [RoomNumber(1)])
    }
}
