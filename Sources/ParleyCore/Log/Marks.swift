/// What the server knows of the ids of one member (session and room).
public struct Marks: Hashable, Sendable {
    /// The highest id that is settled, 0 for none. All up to it were applied, but for `refused` and what was given up.
    public var lastID: Int64
    /// The newest refused ids up to `lastID`, ascending, at most `Limits.refusedMax`.
    public var refused: [Int64]

    public init(lastID: Int64 = 0, refused: [Int64] = []) {
        self.lastID = lastID
        self.refused = refused
    }
}
