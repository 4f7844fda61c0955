/// Whether a room is to be read, from the log or from the roster: hints say that there is more than `end`, and a read says
/// whether that is so. A hint that turns out to be wrong costs two reads at most, never one after another for ever.
///
/// Pure: it decides when to read; a shell does it.
struct Pursuit {
    /// The highest place that anybody spoke of, as far as no read has shown that it is not there.
    private var announced: Int64
    /// Something may have been written of which nobody knows the place.
    private var isDoubtful = false
    /// The highest place that anybody spoke of since the read that is under way began; nil when none is.
    private var meanwhile: Int64?

    init(at end: Int64) { announced = end }

    func isBehind(_ end: Int64) -> Bool { announced > end }

    /// Somebody says that the room stands at `place`.
    mutating func announced(_ place: Int64) {
        announced = max(announced, place)
        meanwhile = meanwhile.map { max($0, place) }
    }

    /// What was announced may not be all: one read is due in any case, which begins after this.
    mutating func doubt() { isDoubtful = true }

    /// Whether a read from `end` is to begin now. The caller must answer with `readEnded` once it has succeeded.
    mutating func startRead(from end: Int64) -> Bool {
        guard meanwhile == nil, isDoubtful || isBehind(end) else { return false }
        isDoubtful = false
        meanwhile = end
        return true
    }

    /// The read is over, and the room stands at `end`. What was announced before it began and is not there never was, or
    /// is lost; a hint that came meanwhile may be ahead of what the read saw.
    ///
    /// - Parameter hasMore: it did not bring all that there was, and another one is due.
    mutating func readEnded(at end: Int64, foundSomething: Bool, hasMore: Bool = false) {
        guard let meanwhile else { return }
        self.meanwhile = nil
        if hasMore { isDoubtful = true }
        if !foundSomething { announced = max(meanwhile, end) }
    }
}
