/// A room of a session, as the socket hears of it that takes the session up.
public struct Membership: Sendable, Equatable {
    public var id: RoomID
    public var room: RoomNumber
    public var lastSeq: Seq
    public var marks: Marks

    public init(id: RoomID, room: RoomNumber, lastSeq: Seq, marks: Marks) {
        self.id = id
        self.room = room
        self.lastSeq = lastSeq
        self.marks = marks
    }
}
