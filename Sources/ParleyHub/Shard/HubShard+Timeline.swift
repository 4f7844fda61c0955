import ParleyCore

/// The homes of this loop, when the database goes on with another timeline.
extension HubShard {
    /// Each home is read from the database again. What the former ones had broadcast is remembered, to tell what their
    /// members know.
    func beginAnew() {
        for (room, residence) in residences {
            guard let home = residence.home else { continue }
            residence.former = home.places
            residence.giveUpAll()
            residence.state = .opening(Residence.Opening(announced: RoomPointer(room: room), isDoubtful: true))
            hub.loadHomeAgain(of: room, id: home.id)
        }
    }

    /// The place at `seq` as it was broadcast before `beginAnew`; nil when nobody knows its tag any more.
    func formerPosition(in room: RoomNumber, at seq: Seq) -> Position? {
        residences[room]?.former?.position(at: seq)
    }

    func isOpening(_ room: RoomNumber) -> Bool { residences[room].map { $0.home == nil } ?? false }

    func whenStanding(_ room: RoomNumber, _ continuation: CheckedContinuation<Result<Void, StoreError>, Never>) {
        guard let residence = residences[room] else {
            return continuation.resume(returning: .failure(.unavailable(reason: "the room could not be read")))
        }
        switch residence.state {
        case .open: continuation.resume(returning: .success(()))
        case .opening(var opening):
            opening.waiting.append(continuation)
            residence.state = .opening(opening)
        }
    }
}
