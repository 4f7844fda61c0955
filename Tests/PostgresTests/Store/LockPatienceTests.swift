import ParleyCore
import Testing

@testable import ParleyPostgres

@Suite("How long a batch waits for a room that is held")
struct LockPatienceTests {
    private func patience(after times: [Duration]) -> Duration {
        var patience = LockPatience(min: .milliseconds(50), max: .milliseconds(200))
        for time in times { patience.took(time) }
        return patience.time
    }

    @Test(
        "as configured before anything is known; little where transactions are quick, more where they are slow, up to that"
    )
    func steps() {
        #expect(patience(after: []) == .milliseconds(200))
        #expect(patience(after: [.milliseconds(3)]) == .milliseconds(50))
        #expect(patience(after: [.milliseconds(10)]) == .milliseconds(100))
        #expect(patience(after: [.milliseconds(20)]) == .milliseconds(200))
        #expect(patience(after: [.seconds(3)]) == .milliseconds(200))
    }

    @Test("one slow transaction changes little, a server that has become slow much, and back")
    func average() {
        let quick = Array(repeating: Duration.milliseconds(2), count: 50)
        #expect(patience(after: quick + [.milliseconds(60)]) == .milliseconds(50))
        let slow = Array(repeating: Duration.milliseconds(40), count: 50)
        #expect(patience(after: quick + slow) == .milliseconds(200))
        #expect(patience(after: quick + slow + quick + quick) == .milliseconds(50))
    }

    @Test("a store that has been quick waits for a foreign transaction no longer than the least, again and again")
    func held() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore(adjust: {
                $0.lockTimeoutMin = .milliseconds(100)
                $0.lockTimeout = .seconds(20)
            }) {
                store in
                let held = try await store.makeRoom("held")
                let other = try await store.makeRoom("other")
                for n in 0..<100 { _ = try await store.append([chunk(["\(n)"], to: other)]) }
                try await database.holding("SELECT FROM parley.room WHERE room_id = 'held' FOR UPDATE") {
                    for n in 0..<2 {
                        let start = ContinuousClock.now
                        let outcomes = try await store.append([chunk(["1"], to: held), chunk(["a"], to: other)])
                        #expect(outcomes == [.locked, .applied(base: Seq(100 + n))])
                        #expect(ContinuousClock.now - start < .seconds(10))
                    }
                }
                #expect(try await store.append([chunk(["1"], to: held)]) == [.applied(base: 0)])
            }
        }
    }
}
