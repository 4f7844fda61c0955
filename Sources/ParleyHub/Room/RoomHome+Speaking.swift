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
        var page = Delivery.Page(fetch: fetch, to: flushed.seq, isAll: true)
        page.presence = fetch.rosterSeq.map { presence(after: $0, for: fetch.clientID, limits: limits) }
        if !runs.isEmpty { page.frames.append(ServerFrame.update(roomID: id, runs: runs, position: flushed)) }
        return page
    }

    private func presence(after place: Int64, for clientID: ClientID, limits: Limits) -> Delivery.PagePresence {
        guard place < roster.told else { return Delivery.PagePresence(to: place) }
        let frames = PresenceFrames(self, limits: limits)
        let news = roster.news(after: place, bytesMax: frames.bytesMax)
        return Delivery.PagePresence(
            to: news.to, hasMore: news.hasMore, frames: news.onlyClient == clientID ? [] : frames.telling(news))
    }
}
