import ParleyCore
import TestPostgres
import TestRoomStore
import Testing

@testable import ParleyPostgres

@Suite("Rooms in PostgreSQL", .heavy)
struct BehaviourTests {
    @Test("keeps to what every store keeps to")
    func behaviour() async throws {
        try await ScratchDatabase.use { database in
            try await database.withStore { store in
                // One database for all, for their rooms have random names; a failure names its case.
                for behaviour in RoomStoreBehaviour.all {
                    do {
                        try await behaviour.hold { store }
                    } catch {
                        Issue.record("\(behaviour.name): \(error)")
                    }
                }
            }
        }
    }
}
