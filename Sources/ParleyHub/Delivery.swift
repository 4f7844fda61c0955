import NIOCore
import ParleyCore

/// What a room's home, or the writer, has for the subscriptions on one event loop. What one home sends to one loop arrives
/// in the order in which it was sent: on that rests the promise that a join has no hole.
enum Delivery: Sendable {
    /// One update for all live subscriptions of a room.
    case update(RoomNumber, from: Seq, to: Seq, framed: ByteBuffer)
    /// Who came or went. `onlyAbout`: the frame speaks of this client alone, who need not be told.
    case presence(RoomNumber, onlyAbout: ClientID?, framed: ByteBuffer)
    case page(Page)
    /// The page could not be read now.
    case pageFailed(Fetch)
    /// The client's copy cannot be continued: here is another.
    case reset(Fetch, to: Seq, frame: ByteBuffer)
    case settled([Ticket], InputEnd)
    /// These members of the room are on other nodes, and what `tickets` stand for will not be applied. The others' claim
    /// is this one.
    case moved(RoomNumber, Set<ClientID>, claim: Int64, tickets: [Ticket])

    /// What a subscription that is behind is missing.
    struct Page {
        var fetch: Fetch
        /// Up to here.
        var to: Seq
        /// From here on the broadcasts continue it.
        var isAll: Bool
        /// The whole roster is among the frames, or how many there are when it is too long.
        var hasRoster: Bool
        var frames: [ByteBuffer]
    }
}
