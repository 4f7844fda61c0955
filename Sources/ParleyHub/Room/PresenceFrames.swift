import NIOCore
import ParleyCore
import ParleyWire

/// How a room says who came and went, at one moment.
struct PresenceFrames {
    /// What a frame has beside its entries: names, numbers and brackets.
    private static let overheadMax = 1_024

    private let roomID: RoomID
    private let count: Int
    /// The whole roster; nil when it is too long to be shown.
    private let clients: [Member]?
    /// What is left in a frame for the news.
    let bytesMax: Int

    init(_ home: RoomHome, limits: Limits) {
        roomID = home.id
        count = home.roster.count
        clients = home.roster.roster(atMost: limits.roster)
        bytesMax = limits.serverFrameBytes - Self.overheadMax - (clients?.encodedBytesMax ?? 0)
    }

    /// None when there is nothing to tell. News that do not tell of everybody who left come with the roster, or at least
    /// with the count.
    func telling(_ news: RosterMachine.News) -> [ByteBuffer] {
        var frames: [ByteBuffer] = []
        if !news.joined.isEmpty || news.isPatchy {
            frames.append(
                ServerFrame.presenceJoined(roomID: roomID, count: count, joined: news.joined, clients: clients))
        }
        if !news.left.isEmpty {
            frames.append(ServerFrame.presenceLeft(roomID: roomID, left: news.left, count: count, clients: clients))
        }
        return frames
    }
}
