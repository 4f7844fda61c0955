import Foundation
import Testing

@testable import ParleyPostgres

/// Exit tests: a process of its own for each. Once there is one, a thread of the test library waits for any child of
/// the process, and does not rest while one that others have started has ended and is not reaped. So they run only when
/// asked for, alone.
@Suite("Errors of the program", .enabled(if: ProcessInfo.processInfo.environment["PARLEY_EXIT_TESTS"] != nil))
struct ProgramErrorTests {
    @Test("an array of two dimensions stops the program instead of being read as one")
    func twoDimensions() async throws {
        await #expect(processExitsWith: .failure) {
            let row = try await withConnection { connection in
                try await connection.execute(Statement(name: "matrix", sql: "SELECT '{{1,2},{3,4}}'::int8[]"))[0]
            }
            _ = row.int8Array(0)
        }
    }

    @Test("reading a column as another type stops the program")
    func wrongType() async throws {
        await #expect(processExitsWith: .failure) {
            let row = try await withConnection { connection in
                try await connection.execute(Statement(name: "one4", sql: "SELECT 1::int4"))[0]
            }
            _ = row.int8(0)
        }
    }
}
