package import ParleyCore
import Testing

/// What every store of rooms keeps to, seen through its port alone. A store's own tests run each case with a way to make,
/// or to reach, a store; rooms and sessions have random names, so that one store may serve all of them, and others.
package struct RoomStoreBehaviour: Sendable, CustomTestStringConvertible {
    package let name: String
    private let body: @Sendable (any RoomStore) async throws -> Void

    package init(_ name: String, _ body: @escaping @Sendable (any RoomStore) async throws -> Void) {
        self.name = name
        self.body = body
    }

    package var testDescription: String { name }

    package func hold(for makeStore: @Sendable () async throws -> any RoomStore) async throws {
        try await body(try await makeStore())
    }

    package static let all = rooms + members + sessions + log + snapshots + history + values
}
