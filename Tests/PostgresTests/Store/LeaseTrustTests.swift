import TestPostgres
import Testing

@testable import ParleyPostgres

@Suite("Trust in the lease")
struct LeaseTrustTests {
    private let start = ContinuousClock.now
    private func at(_ seconds: Double) -> ContinuousClock.Instant { start + .milliseconds(Int(seconds * 1_000)) }

    @Test("there is none before the first heartbeat, and after the last one it ends by itself")
    func ends() {
        var trust = LeaseTrust(.seconds(3))
        #expect(!trust.holds(at: at(0)))
        trust.heard(sentAt: at(1))
        #expect(trust.holds(at: at(3.9)))
        #expect(!trust.holds(at: at(4)))
    }

    @Test("it counts from when the heartbeat was sent, however late its answer, and never goes back")
    func late() {
        var trust = LeaseTrust(.seconds(3))
        trust.heard(sentAt: at(5))
        trust.heard(sentAt: at(2))
        #expect(trust.holds(at: at(7.9)))
        #expect(!trust.holds(at: at(8)))
    }

    @Test(
        "with every setting it ends before the lease does that the last heartbeat may have left as it was",
        arguments: [(5_000, 1_000), (1_000, 200), (60_000, 1_000), (200, 40)])
    func shorterThanLease(lease: Int, heartbeat: Int) {
        var configuration = StoreConfiguration(url: "", nodeName: "n", version: "0")
        configuration.lease = .milliseconds(lease)
        configuration.heartbeatEvery = .milliseconds(heartbeat)
        // A heartbeat that finds `leaseLeft` does not renew.
        #expect(configuration.leaseLeft < configuration.lease)
        #expect(configuration.leaseLeft > configuration.heartbeatEvery, "one late heartbeat costs nothing")
    }
}

@Suite("Out of the database's hearing", .heavy)
struct OutOfHearingTests {
    @Test("a node whose requests get lost is not ready any more while its connections stand, and is again afterwards")
    func blackHole() async throws {
        try await ScratchDatabase.use { database in
            let (relay, relayed) = try await database.relayed()
            try await relayed.withStore(adjust: {
                $0.lease = .seconds(2)
                $0.heartbeatEvery = .milliseconds(400)
                $0.requestTimeout = .seconds(20)
            }) { store in
                try await waitUntil { store.isReachable }
                relay.set(.holdingRequests)
                try await waitUntil { !store.isReachable }
                #expect(store.registrar.generation != nil)
                #expect(store.reader.connection.generation != nil)
                relay.cut()
                try await waitUntil { store.isReachable }
            }
        }
    }
}
