extension Snapshot {
    /// Drops the oldest changes until no more than `bytesMax` bytes are left.
    public mutating func keepNewest(bytesMax: Int) {
        runs = RunCut(bytesMax: bytesMax).newest(of: runs)
    }

    /// Drops the newest changes until no more than `bytesMax` bytes are left, but for the first, which always stays, and
    /// puts `end` behind the last one kept.
    public mutating func keepOldest(bytesMax: Int) {
        runs = RunCut(bytesMax: bytesMax, takesOne: true).oldest(of: runs)
        if let last = runs.last { end = last.end }
    }
}
