import NIOCore
import ParleyCore

/// What a room's home, or the writer, has for the subscriptions on one event loop. What one home sends to one loop arrives
/// in the order in which it was sent: on that rests the promise that a join has no hole.
enum Delivery: Sendable {
    /// One update for all live subscriptions of a room.
    case update(RoomNumber, from: Seq, to: Seq, framed: ByteBuffer)
    case presence(Presence)
    /// What members show for a moment. Who cannot take it now never gets it.
    case signals(RoomNumber, framed: ByteBuffer)
    case page(Page)
    /// The page could not be read now.
    case pageFailed(Fetch)
    /// The client's copy cannot be continued: here is another.
    case reset(Fetch, to: Seq, rosterSeq: Int64, frame: ByteBuffer)
    case answered([Ticket], InputEnd)
    /// These members of the room are on other nodes, and what `tickets` stand for will not be applied. For the others whose
    /// claim is `since` or higher this is the claim now.
    case moved(RoomNumber, Set<ClientID>, since: Int64, claim: Int64, tickets: [Ticket])

    /// Who came or went: the steps of a room's roster between two places. One follows the other without a gap.
    struct Presence {
        var room: RoomNumber
        var from: Int64
        var to: Int64
        /// The frames speak of this client alone, who need not be told.
        var onlyAbout: ClientID?
        var framed: [ByteBuffer]
    }

    /// What a subscription that is behind is missing.
    struct Page {
        var fetch: Fetch
        /// Up to here.
        var to: Seq
        /// From here on the broadcasts continue it.
        var isAll: Bool
        /// nil when the page does not speak of the roster.
        var presence: PagePresence?
        var frames: [ByteBuffer] = []
    }

    /// Who came or went, for one client that has missed it.
    struct PagePresence {
        /// With these frames the client knows the roster up to this place.
        var to: Int64
        /// It is missing more than that.
        var hasMore = false
        var frames: [ByteBuffer] = []
    }
}
