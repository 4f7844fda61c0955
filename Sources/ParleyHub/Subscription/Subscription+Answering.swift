import ParleyCore
import ParleyWire

extension Subscription {
    /// An input of this subscription has come to its end. Says to the client what it must hear: nothing when it was
    /// applied, for the next update shows that, unless it asked twice.
    func answer(_ request: Int64?, with end: InputEnd) {
        switch (request, end) {
        case (nil, .applied), (nil, .leftOpen): break
        case (nil, .failed(let error)):
            sink.send(ServerFrame.error(error, id: nil, roomID: roomID.text))
        case (let id?, .applied):
            if ledger.applied(id) { sink.send(ServerFrame.ack(id: id, roomID: roomID)) }
        case (let id?, .failed(let error)):
            let wasTold = error.code.isTemporary ? ledger.returned(id) : ledger.refused(id)
            if !wasTold { sink.send(ServerFrame.error(error, id: id, roomID: roomID.text)) }
        case (let id?, .leftOpen):
            guard ledger.leftOpen(id) else { break }
            let error = RequestError(.unavailable, "the database takes too long to answer; send it again")
            sink.send(ServerFrame.error(error, id: id, roomID: roomID.text))
        }
        checkIdle()
    }
}
