import NIOCore
import ParleyCore
import ParleyHub
import ParleyWire

/// The answer to a `join`, cut so that it fits a frame: what does not fit follows as updates, or stays in the history.
struct JoinReply {
    let frame: ByteBuffer
    /// Where the client stands when it has the reply.
    let end: Seq

    init(
        id: Int64?, roomID: RoomID, clientID: ClientID, admission: Admission, marks: Marks, presence: Bool,
        after: ResumePoint?, bytesMax: Int
    ) {
        let clients = presence ? admission.roster : nil
        let rosterBytes = clients?.encodedBytesMax ?? 0
        var snapshot = admission.snapshot
        let valuesBytes = snapshot.values.map { $0.values.count + $0.versions.count } ?? 0
        let room = bytesMax - rosterBytes - valuesBytes - marks.refused.count * 20 - 1_024
        let continues = after != nil && snapshot.continuity == .continues
        if continues {
            snapshot.keepOldest(bytesMax: room)
        } else {
            snapshot.keepNewest(bytesMax: room)
        }
        end = snapshot.end.seq
        frame = ServerFrame.joinReply(
            id: id, roomID: roomID, clientID: clientID, count: admission.count, clients: clients, marks: marks,
            snapshot: snapshot, withValues: !continues)
    }
}

extension [Member] {
    /// As many of the first as fit a frame.
    func fitting(bytesMax: Int) -> [Member] {
        var bytes = 1_024
        return Array(
            prefix { member in
                bytes += member.encodedBytesMax
                return bytes <= bytesMax
            })
    }
}
