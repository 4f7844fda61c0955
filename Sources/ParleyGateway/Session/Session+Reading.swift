import ParleyCore
import ParleyHub
import ParleyWire

/// What a member asks and what changes nothing.
extension Session {
    func history(_ query: HistoryQuery, id: Int64?) {
        guard let subscription = joined(query.room, id: id) else { return }
        let request = HistoryRequest(
            room: subscription.room, after: query.after?.seq, before: query.before?.seq, limit: query.limit,
            bytesMax: settings.limits.serverFrameBytes - 1_024)
        perform { hub throws(StoreError) in
            try await hub.store.history(request)
        } then: { session, result in
            switch result {
            case .success(let page):
                session.sink.send(ServerFrame.historyReply(id: id, roomID: query.room, page: page))
            case .failure(let error):
                session.sendError(error.forClient, id: id, room: query.room)
            }
        }
    }

    func members(of room: RoomID, after: String?, limit: Int, id: Int64?) {
        guard let subscription = joined(room, id: id) else { return }
        let number = subscription.room
        let bytesMax = settings.limits.serverFrameBytes
        perform { hub throws(StoreError) in
            await hub.members(of: number, after: after, limit: limit)
        } then: { session, result in
            guard case .success(let page?) = result else {
                return session.sendError(RequestError(.unavailable, "the room is being closed"), id: id, room: room)
            }
            let fitting = page.members.fitting(bytesMax: bytesMax)
            session.sink.send(
                ServerFrame.membersReply(
                    id: id, roomID: room, count: page.count, clients: fitting,
                    more: page.more || fitting.count < page.members.count))
            session.shard.toldMembers(subscription, at: page.rosterSeq)
        }
    }
}
