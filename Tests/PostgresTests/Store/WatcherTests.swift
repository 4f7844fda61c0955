import Foundation
import NIOConcurrencyHelpers
import Testing

@testable import ParleyPostgres

@Suite("A watcher")
struct WatcherTests {
    @Test("is told as often as one likes, with as little stack as the threads of connections have")
    func stack() async {
        let heard = NIOLockedValueBox(0)
        let watcher = Watcher<Int>()
        watcher.tell(1)
        watcher.become { number in heard.withLockedValue { $0 += number } }
        await withCheckedContinuation { continuation in
            let thread = Thread {
                for _ in 0..<50_000 { watcher.tell(1) }
                continuation.resume()
            }
            thread.stackSize = 512 << 10
            thread.start()
        }
        #expect(heard.withLockedValue { $0 } == 50_000)
    }
}
