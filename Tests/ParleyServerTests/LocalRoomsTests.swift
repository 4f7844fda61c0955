import Foundation
import ParleyCore
import Testing

@testable import ParleyServer

@Suite("The rooms of a node")
struct LocalRoomsTests {
    @Test("are asked for as often as one likes, with as little stack as the threads of connections have")
    func stack() async {
        let rooms = LocalRooms()
        rooms.become { [RoomNumber(7)] }
        let counted = await withCheckedContinuation { continuation in
            let thread = Thread {
                continuation.resume(returning: (0..<50_000).reduce(0) { count, _ in count + rooms.current.count })
            }
            thread.stackSize = 512 << 10
            thread.start()
        }
        #expect(counted == 50_000)
    }
}
