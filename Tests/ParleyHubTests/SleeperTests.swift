import ParleyHub
import Testing

@Suite("Sleeper", .timeLimit(.minutes(1)))
struct SleeperTests {
    @Test("a wake-up ends the sleep, also one that came before it")
    func wakes() async {
        let sleeper = Sleeper()
        sleeper.wake()
        sleeper.wake()
        await sleeper.sleep()
        let sleeping = Task { await sleeper.sleep() }
        sleeper.wake()
        await sleeping.value
    }

    @Test("whoever is cancelled sleeps no longer, and does not begin to")
    func cancelled() async {
        let sleeper = Sleeper()
        let sleeping = Task { await sleeper.sleep() }
        sleeping.cancel()
        await sleeping.value
        await Task {
            withUnsafeCurrentTask { $0?.cancel() }
            await sleeper.sleep()
        }.value
    }
}
