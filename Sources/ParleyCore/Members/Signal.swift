/// What a member shows the others for a moment (typing, a cursor): never stored, and worth nothing once a newer one is there.
public struct Signal: Hashable, Sendable {
    /// The members of its JSON object that say whose it is: `"clientId":"…"`, and `,"key":"…"` if it has one. Of two with the
    /// same head the newer one counts.
    public var head: [UInt8]
    /// Any JSON, byte by byte as it was sent.
    public var payload: [UInt8]

    public init(head: [UInt8], payload: [UInt8]) {
        self.head = head
        self.payload = payload
    }
}

/// The signals of one room, on their way to others.
public struct RoomSignals: Hashable, Sendable {
    public var room: RoomNumber
    public var signals: [Signal]

    public init(room: RoomNumber, signals: [Signal]) {
        self.room = room
        self.signals = signals
    }
}
