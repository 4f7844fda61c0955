/// A thread that waits for one socket and for what others tell it, and looks after both while code on top of it
/// believes to block.
protocol Waiting: AnyObject {
    /// `events` as for `poll`; a `socket` of -1 only lets time pass.
    func wait(socket: Int32, events: Int16, until: ContinuousClock.Instant) -> Waited
}

enum Waited: Equatable {
    /// Some of the events, or an error that the next call to libpq will find.
    case ready
    case timedOut
    /// `close()` was called.
    case stopped
}
