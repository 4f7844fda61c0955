/// Where a room stood when the hint was sent; 0 for what it does not speak of.
public struct RoomPointer: Sendable, Hashable {
    public var room: RoomNumber
    public var lastSeq: Seq
    public var rosterSeq: Int64

    public init(room: RoomNumber, lastSeq: Seq = 0, rosterSeq: Int64 = 0) {
        self.room = room
        self.lastSeq = lastSeq
        self.rosterSeq = rosterSeq
    }
}
