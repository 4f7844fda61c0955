/// A membership that no socket has left: SQL has removed the member, or closed the room.
public struct EndedMembership: Sendable, Hashable {
    public var room: RoomNumber
    /// The room's from then on: who has it, or a higher one, has joined since.
    public var claim: Int64
    /// nil for everybody: the room was closed.
    public var clientID: ClientID?

    public init(room: RoomNumber, claim: Int64, clientID: ClientID? = nil) {
        self.room = room
        self.claim = claim
        self.clientID = clientID
    }
}
