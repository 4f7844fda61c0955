package import ParleyCore

/// A part of a room's roster as this node knows it, sorted by id.
package struct RosterPage: Sendable {
    /// Where the roster stood.
    package var rosterSeq: Int64
    /// All members of the room.
    package var count: Int
    package var members: [Member]
    package var more: Bool
}
