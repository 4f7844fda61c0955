import Logging
import NIOCore
import NIOPosix
import ParleyCore
import ParleyHub
import Testing

@Suite("Reader", .timeLimit(.minutes(1)))
struct ReaderTests {
    private final class Rooms: Reader.Delegate {
        let logs = Journal<[RoomNumber]>()
        let rosters = Journal<[RoomNumber]>()
        func readLog(_ rooms: [RoomNumber], found: [LogRead]) { logs.append(rooms) }
        func readRosters(_ rooms: [RoomNumber], found: [RosterRead]) { rosters.append(rooms) }
    }

    @Test("what could not be read is tried again until it can; of a row of failures the first is logged, and its end")
    func failures() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let log = Journal<String>()
        let store = HeldStore()
        let reader = Reader(
            store: store, rhythm: .milliseconds(1), backoff: Backoff(first: .milliseconds(1), max: .milliseconds(2)),
            loop: group.next(), logger: Logger(label: "reader") { _ in JournalLogHandler(journal: log) })
        let rooms = Rooms()
        reader.report(to: rooms)
        let running = Task { await reader.run() }
        for row in 1...2 {
            store.failReads(7)
            reader.wantLog(of: RoomNumber(1), after: 0)
            reader.wantRoster(of: RoomNumber(2), after: 0)
            await rooms.logs.wait { $0.count >= row }
            await rooms.rosters.wait { $0.count >= row }
            await log.wait { $0.count >= 2 * row }
        }
        running.cancel()
        await running.value
        #expect(rooms.logs.entries.allSatisfy { $0 == [RoomNumber(1)] }, "nobody is told of a read that failed")
        #expect(log.entries.map { $0.prefix { $0 != " " } } == ["warning", "notice", "warning", "notice"])
        try await group.shutdownGracefully()
    }
}
