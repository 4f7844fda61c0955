internal import Logging
internal import ParleyCore

/// Where rooms stand, read a page at a time.
struct HeadPages {
    static let roomsMax = 1_000

    let store: PostgresRoomStore
    let rooms: [RoomNumber]

    /// What cannot be read now is left to the next time.
    func send(to sink: @Sendable (FeedEvent) -> Void) async {
        var rest = rooms[...]
        while !rest.isEmpty, !Task.isCancelled {
            let page = Array(rest.prefix(Self.roomsMax))
            rest = rest.dropFirst(page.count)
            do throws(StoreError) {
                let heads = try await store.heads(of: page)
                if !heads.isEmpty { sink(.pointers(heads)) }
                // A room that was closed is not there any more, should nobody have said so.
                let gone = Set(page).subtracting(heads.map(\.room))
                if !gone.isEmpty { sink(.ended(gone.map { EndedMembership(room: $0, claim: .max) })) }
            } catch {
                return store.logger.debug("could not compare rooms", metadata: ["error": "\(error)"])
            }
        }
    }
}
