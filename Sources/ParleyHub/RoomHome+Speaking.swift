import NIOCore
import ParleyCore
import ParleyWire

/// What a room says to all who are in it, and to one who is behind.
extension RoomHome {
    /// What is due in this tick, at most one update among it.
    func speak(_ room: RoomNumber, limits: Limits, framed: (ByteBuffer) -> ByteBuffer) -> [Delivery] {
        var deliveries: [Delivery] = []
        if roster.hasNews {
            let frames = PresenceFrames(self, limits: limits)
            let news = takeNews(bytesMax: frames.bytesMax)
            deliveries.append(
                .presence(
                    Delivery.Presence(
                        room: room, from: news.from, to: news.to, onlyAbout: news.onlyClient,
                        framed: frames.telling(news).map(framed))))
        }
        let signals = takeSignals()
        if !signals.isEmpty {
            deliveries.append(.signals(room, framed: framed(ServerFrame.signals(roomID: id, signals))))
        }
        if let update = takeUpdate(bytesMax: limits.updateBytes), let first = update.runs.first {
            let frame = ServerFrame.update(roomID: id, runs: update.runs, position: update.end)
            deliveries.append(.update(room, from: first.from, to: update.end.seq, framed: framed(frame)))
        }
        return deliveries
    }

    /// All that was broadcast and that the subscription is missing; nil when only the log has it.
    func page(for fetch: Fetch, limits: Limits) -> Delivery.Page? {
        guard flushed.seq >= fetch.after, let runs = broadcast(after: fetch.after) else { return nil }
        var page = Delivery.Page(fetch: fetch, to: flushed.seq, isAll: true, frames: [])
        page.rosterSeq = fetch.rosterSeq
        if let rosterSeq = fetch.rosterSeq, rosterSeq < roster.told {
            let frames = PresenceFrames(self, limits: limits)
            let news = roster.news(after: rosterSeq, bytesMax: frames.bytesMax)
            page.rosterSeq = news.to
            page.hasMorePresence = news.hasMore
            if news.onlyClient != fetch.clientID { page.frames = frames.telling(news) }
        }
        if !runs.isEmpty { page.frames.append(ServerFrame.update(roomID: id, runs: runs, position: flushed)) }
        return page
    }
}
